"""Every problem a client can meet: its status, and what it is called in Indonesian and English.

``problems`` makes answers of these, README.md lists them. The code is the last part of ``type``;
titles and details name what to do, never what was sent.
"""
# ruff: noqa: E501  a table: one row, one problem

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One type of problem. A caller may put a more precise detail in place of the one here."""

    status: int
    title_id: str
    title_en: str
    detail_id: str
    detail_en: str


_SAFE_ID, _SAFE_EN = "Tempat Anda tetap aman.", "Your place is safe."
_REPEAT_ID = "Kirim ulang data yang sama; tidak akan tercatat dua kali."
_REPEAT_EN = "Send the same again; it will not count twice."

# fmt: off
CATALOGUE: Mapping[str, Entry] = {
    # the message
    "framing": Entry(400, "Permintaan tidak terbaca", "Unreadable request", "Batas pesan tidak jelas.", "It is unclear where the message ends."),
    "header": Entry(400, "Header tidak valid", "Invalid header", "Salah satu header tidak terbaca.", "A header field cannot be read."),
    "host": Entry(400, "Host tidak valid", "Invalid host", "Kirim tepat satu header Host yang benar.", "Send exactly one well-formed Host header."),
    "host-unknown": Entry(421, "Host tidak dilayani", "Host not served", "Nama ini tidak dilayani di sini.", "This name is not served here."),
    "target": Entry(400, "Alamat tidak valid", "Invalid target", "Alamat permintaan salah bentuk.", "The request target is malformed."),
    "method": Entry(405, "Metode tidak didukung", "Method not supported", "Metode ini tidak berlaku di alamat ini.", "This method does not apply to this address."),
    "http-version": Entry(505, "Versi HTTP tidak didukung", "HTTP version not supported", "Gunakan HTTP/1.1.", "Use HTTP/1.1."),
    "expectation": Entry(417, "Harapan tidak didukung", "Expectation not supported", "Hanya 100-continue yang didukung.", "Only 100-continue is supported."),
    "uri-too-long": Entry(414, "Alamat terlalu panjang", "Target too long", "Alamat paling banyak 4.096 bita.", "A target has at most 4,096 bytes."),
    "header-too-large": Entry(431, "Header terlalu besar", "Header too large", "Paling banyak 64 header, 4.096 bita per header, 16 KiB seluruhnya.", "At most 64 fields, 4,096 bytes each, 16 KiB together."),
    "too-large": Entry(413, "Isi terlalu besar", "Body too large", "Isi melebihi batas.", "The body is above the limit."),
    "body-timeout": Entry(408, "Isi tidak tiba tepat waktu", "Body too slow", "Isi tidak tiba dalam 10 detik.", "The body did not arrive within 10 seconds."),
    "media-type": Entry(415, "Jenis isi tidak didukung", "Unsupported media type", "Jenis isi, charset, atau pengodean ini tidak didukung di sini.", "This media type, charset or encoding is not supported here."),
    "json-invalid": Entry(400, "JSON tidak valid", "Invalid JSON", "Kirim satu objek JSON dalam UTF-8, tanpa kunci ganda.", "Send one JSON object in UTF-8, without duplicate keys."),
    "form-invalid": Entry(400, "Formulir tidak terbaca", "Unreadable form", "Kirim formulir sekali lagi dari halaman kami.", "Send the form again from our page."),
    "cross-site": Entry(403, "Permintaan dari situs lain", "Request from another site", "Buka halaman kami dan ulangi di sana.", "Open our page and repeat it there."),
    "not-found": Entry(404, "Halaman tidak ditemukan", "Not found", "Tidak ada apa pun di alamat ini.", "There is nothing at this address."),
    # the room
    "wave-unknown": Entry(404, "Gelombang tidak dikenal", "Unknown wave", "Periksa alamatnya.", "Check the address."),
    "wave-not-open": Entry(409, "Belum dibuka", "Not open yet", "Gelombang ini belum menerima antrean.", "This wave does not take anyone yet."),
    "joins-paused": Entry(409, "Antrean sedang ditutup", "Nobody new is taken", "Saat ini tidak ada tempat baru; yang sudah menunggu tetap dilayani.", "No new places are given at the moment; those who wait are served."),
    "wave-full": Entry(409, "Kuota sudah penuh", "Wave full", "Semua tempat di gelombang ini terisi.", "All places of this wave are filled."),
    "wave-closed": Entry(409, "Pendaftaran ditutup", "Wave closed", "Gelombang ini sudah ditutup.", "This wave has closed."),
    "ticket-missing": Entry(401, "Belum masuk antrean", "No ticket", "Masuk antrean dahulu.", "Join the room first."),
    "ticket-invalid": Entry(403, "Tiket tidak valid", "Invalid ticket", "Tiket ini bukan dari antrean gelombang ini.", "This ticket was not given for this wave."),
    "ticket-ended": Entry(410, "Tiket berakhir", "Ticket ended", "Gelombang ini sudah berakhir.", "This wave is over."),
    "place-ended": Entry(410, "Tempat berakhir", "Place ended", "Tempat ini sudah dilepas.", "This place has been given up."),
    "credential-ambiguous": Entry(400, "Dua tiket berbeda", "Two different credentials", "Kirim hanya satu tiket atau izin.", "Send one ticket or pass only."),
    "too-many-requests": Entry(429, "Terlalu sering", "Too many requests", "Tempat yang sudah Anda miliki tetap aman. Tunggu sebelum meminta lagi.", "A place that you hold is kept. Wait before asking again."),
    # the pass and the registration
    "pass-missing": Entry(401, "Belum giliran Anda", "No pass", "Formulir dibuka dengan izin saat giliran Anda tiba.", "The form opens with a pass, when it is your turn."),
    "pass-invalid": Entry(403, "Izin tidak valid", "Invalid pass", "Izin ini bukan untuk gelombang ini.", "This pass was not given for this wave."),
    "pass-ended": Entry(410, "Waktu habis", "Pass ended", "Izin ini sudah tidak berlaku.", "This pass is no longer valid."),
    "pass-used": Entry(409, "Izin sudah dipakai", "Pass used", "Izin ini sudah dipakai untuk satu pendaftaran.", "This pass was used for a registration."),
    "extension-exhausted": Entry(409, "Tidak dapat diperpanjang lagi", "No extension left", "Waktu sudah diperpanjang dua kali.", "The time was extended twice."),
    "already-registered": Entry(409, "Sudah terdaftar", "Already registered", "Satu orang hanya dapat mendaftar satu kali.", "Each person registers once."),
    "too-many-persons": Entry(409, "Terlalu banyak orang dicoba", "Too many persons tried", "Izin ini berlaku hanya untuk orang yang sudah dicoba.", "This pass is valid only for the persons already tried."),
    "receipt-unknown": Entry(404, "Nomor referensi tidak dikenal", "Unknown receipt", "Periksa huruf dan angkanya.", "Check its letters and digits."),
    # the fields
    "field-unknown": Entry(422, "Kolom tidak dikenal", "Unknown field", "Isi memuat kolom yang tidak ada di formulir.", "The body has a field that the form does not have."),
    "field-missing": Entry(422, "Kolom belum diisi", "Field missing", "Kolom wajib belum diisi.", "A required field is missing."),
    "field-type": Entry(422, "Jenis nilai salah", "Wrong type", "Nilai kolom salah jenis.", "A value has the wrong type."),
    "text-invalid": Entry(422, "Teks tidak valid", "Invalid text", "Teks kosong, terlalu panjang, atau memuat karakter terlarang.", "The text is empty, too long, or has forbidden characters."),
    "nik-invalid": Entry(422, "NIK tidak valid", "Invalid NIK", "NIK terdiri atas 16 angka, seperti di KTP.", "A NIK has 16 digits, as on the identity card."),
    "digits-invalid": Entry(422, "Angka tidak valid", "Invalid digits", "Isi dengan angka saja, sejumlah yang diminta.", "Digits only, as many as asked for."),
    "date-invalid": Entry(422, "Tanggal tidak valid", "Invalid date", "Tulis tanggal sebagai tahun-bulan-hari.", "Write the date as year-month-day."),
    "phone-invalid": Entry(422, "Nomor HP tidak valid", "Invalid mobile number", "Nomor HP harus diawali 08 atau +62.", "A mobile number starts with 08 or +62."),
    "email-invalid": Entry(422, "Alamat email tidak valid", "Invalid e-mail", "Periksa alamat email.", "Check the e-mail address."),
    "choice-invalid": Entry(422, "Pilihan tidak valid", "Invalid choice", "Pilih salah satu dari daftar.", "Choose one of the list."),
    # the operator's listener
    "credential-missing": Entry(401, "Kredensial tidak ada", "Credential missing", "Kirim kredensial operator sebagai Bearer.", "Send an operator credential as Bearer."),
    "credential-invalid": Entry(401, "Kredensial tidak valid", "Credential invalid", "Kredensial ini tidak berlaku.", "This credential is not valid."),
    "role-missing": Entry(403, "Peran tidak cukup", "Role missing", "Kredensial ini tidak memiliki peran yang diperlukan.", "This credential lacks the role that is needed."),
    "confirmation-missing": Entry(428, "Konfirmasi diperlukan", "Confirmation missing", "Langkah ini besar; ulangi nilainya.", "This step is severe; repeat its value with confirm."),
    "reason-missing": Entry(422, "Alasan tidak disebut", "Reason missing", "Gelombang berjalan: sebutkan alasan di X-Reason.", "The wave runs: say why in X-Reason."),
    "revision-unknown": Entry(409, "Revisi tidak dikenal", "Revision unknown", "Tidak ada catatan yang menuju revisi itu.", "No record leads back to that revision."),
    "policy-invalid": Entry(422, "Kebijakan tidak valid", "Policy invalid", "Tidak ada yang diubah.", "Nothing was changed."),
    "revision-stale": Entry(412, "Revisi usang", "Revision stale", "Kebijakan sudah diubah; baca lagi.", "The policy has changed; read it again."),
    "revision-missing": Entry(428, "Revisi tidak disebut", "Revision missing", "Kirim If-Match dengan revisi yang dibaca.", "Send If-Match with the revision you read."),
    "settings-invalid": Entry(422, "Pengaturan tidak valid", "Settings invalid", "Tidak ada yang dimulai ulang.", "Nothing was restarted."),
    "not-supervised": Entry(409, "Tidak ada pengawas", "Not supervised", "Proses ini tidak dijalankan oleh gateway up.", "This process is not kept by gateway up: restart it as it was started."),
    # we ourselves
    "redis-unavailable": Entry(503, "Sedang ramai", "Busy right now", f"{_SAFE_ID} Coba lagi sebentar lagi.", f"{_SAFE_EN} Try again in a moment."),
    "outcome-unknown": Entry(503, "Jawaban belum pasti", "Outcome unknown", _REPEAT_ID, _REPEAT_EN),
    "recovering": Entry(503, "Sedang dipulihkan", "Recovering", f"{_SAFE_ID} Kami sedang memulihkan antrean.", f"{_SAFE_EN} The room is being restored."),
    "backlog-full": Entry(503, "Penyimpanan sedang penuh", "Intake full", _REPEAT_ID, _REPEAT_EN),
    "overloaded": Entry(503, "Sangat ramai saat ini", "Very busy right now", "Coba lagi sebentar lagi.", "Try again in a moment."),
    "internal": Entry(500, "Ada masalah di pihak kami", "A problem on our side", "Coba lagi nanti.", "Try again later."),
}
# fmt: on
