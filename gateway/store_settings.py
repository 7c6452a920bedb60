"""Which store do the settings mean, and how do forms wait for it? Both are put together here."""

import secrets as system_random
from functools import partial

from gateway.core.form import content_digest
from gateway.faults import ConfigurationError, Fault
from gateway.ports import IntakePort
from gateway.redis.sealed import SealedIntake
from gateway.secrets import Secrets, read_credential
from gateway.settings import Settings, ledger_file
from gateway.stores.opening import Store, StoreOptions, StoreUrlError, open_store


def store_of(settings: Settings, pepper: bytes) -> Store:
    """Return the store; nothing of it is opened yet.

    Raises:
        ConfigurationError: its URL or its credential must be changed.
    """
    said = settings.store
    options = StoreOptions(
        ledger=ledger_file(settings),
        content=partial(content_digest, pepper),
        deadline_s=said.deadline_s,
        credential=read_credential(said.credential_file) if said.credential_file else "",
        singly=said.post == "single",
        allow_private=said.allow_private,
    )
    try:
        return open_store(said.url, options)
    except StoreUrlError as error:
        raise ConfigurationError(Fault("store.url", "", str(error))) from error


def sealed(inner: IntakePort, settings: Settings, secrets: Secrets) -> SealedIntake:
    """Return the intake through which forms go sealed, or in clear where settings say so."""
    encrypt = settings.intake.encrypt
    return SealedIntake(inner, secrets.payload, system_random.token_bytes, encrypt=encrypt)
