/* What a server of a fault run believes of its clock and its disk; preloaded into Valkey.
 *
 * FAULTS_CONTROL names a file of two 64-bit integers, which the test changes while the server runs:
 * microseconds to add to every wall clock (the monotonic clock stays), and microseconds by which each
 * fsync stalls. FAULTS_SYNCED names a file that gets one line per fsync or fdatasync that succeeded:
 * the length the file had when the call began, and its path. What lies behind it, a power loss may take.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *control; /* {offset_us, stall_us} */
static int synced = -1;

__attribute__((constructor)) static void open_files(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        void *mapped = mmap(NULL, 16, PROT_READ, MAP_SHARED, descriptor, 0);
        control = mapped == MAP_FAILED ? NULL : mapped;
        close(descriptor);
    }
    path = getenv("FAULTS_SYNCED");
    if (path)
        synced = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int64_t offset_us(void) { return control ? control[0] : 0; }

int clock_gettime(clockid_t clock, struct timespec *answer) {
    int result = syscall(SYS_clock_gettime, clock, answer);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t us = answer->tv_sec * 1000000LL + answer->tv_nsec / 1000 + offset_us();
        answer->tv_sec = us / 1000000;
        answer->tv_nsec = us % 1000000 * 1000 + answer->tv_nsec % 1000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict answer, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    answer->tv_sec = now.tv_sec;
    answer->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *answer) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (answer)
        *answer = now.tv_sec;
    return now.tv_sec;
}

static int confirmed(int descriptor, long call) {
    struct stat before;
    char link[64], path[4096], line[4200];
    int known = fstat(descriptor, &before) == 0;
    if (control && control[1] > 0)
        usleep(control[1]);
    int result = syscall(call, descriptor);
    if (result != 0 || !known || synced < 0 || !S_ISREG(before.st_mode))
        return result;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        int bytes = snprintf(line, sizeof line, "%lld %s\n", (long long)before.st_size, path);
        if (write(synced, line, bytes) != bytes)
            abort(); /* a run that cannot tell what is durable proves nothing */
    }
    return result;
}

int fsync(int descriptor) { return confirmed(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return confirmed(descriptor, SYS_fdatasync); }
