/* A disk that fails on command: loaded into the daemon by LD_PRELOAD, between it and the C library.
 *
 * BAD_DISK_ORDERS names a file that is read again at every call. Its first word is the order, its second a number:
 *   full           writes to the database and its log fail with ENOSPC
 *   sync-fails N   the N-th sync of the log since the order was given fails with EIO
 *   kill-before N  SIGKILL before the N-th sync of the log since the order was given
 *   kill-after N   SIGKILL after it
 * Anything else, or nothing: the disk is well.
 *
 * BAD_DISK_TRACE names a file that is written to:
 *   write HEX      these bytes were handed to the log
 *   sync           the log was synced, and all that was handed to it before is on the disk
 *   send TEXT      a request that holds eth_sendRawTransaction is about to leave
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum file { OTHER, DATABASE, LOG };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char given[64];
static long syncs;

static enum file file_of(int fd) {
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return OTHER;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (!strcmp(name, "preauthd.sqlite-wal")) return LOG;
    return strcmp(name, "preauthd.sqlite") ? OTHER : DATABASE;
}

/* The number of an order, if it is the one that stands; 0 otherwise. Counting starts anew with every new order. */
static long order(const char *wanted) {
    const char *path = getenv("BAD_DISK_ORDERS");
    char text[sizeof given] = "";
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        syscall(SYS_close, fd);
    }
    if (strcmp(text, given)) {
        memcpy(given, text, sizeof given);
        syncs = 0;
    }
    char word[32] = "";
    long number = 1;
    if (sscanf(given, "%31s %ld", word, &number) < 1 || strcmp(word, wanted)) return 0;
    return number;
}

static void trace(const char *word, const struct iovec *parts, int count, int hex) {
    static int fd = -1;
    const char *path = getenv("BAD_DISK_TRACE");
    if (!path) return;
    if (fd < 0) fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_t total = 0;
    for (int i = 0; i < count; i++) total += parts[i].iov_len;
    char *line = malloc(strlen(word) + 2 * total + 3), *end = line;
    if (!line) return;
    end += sprintf(end, "%s ", word);
    for (int i = 0; i < count; i++) {
        const unsigned char *bytes = parts[i].iov_base;
        for (size_t j = 0; j < parts[i].iov_len; j++) {
            if (hex) end += sprintf(end, "%02x", bytes[j]);
            else *end++ = bytes[j] >= ' ' && bytes[j] < 127 ? (char)bytes[j] : ' ';
        }
    }
    *end++ = '\n';
    syscall(SYS_write, fd, line, end - line);
    free(line);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* ------------------------------------------------------------------ syncs */

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (file_of(fd) != LOG) return real(fd);
    pthread_mutex_lock(&lock);
    long fails = order("sync-fails"), before = order("kill-before"), after = order("kill-after");
    syncs++;
    if (before && syncs >= before) die();
    int done;
    if (fails && syncs == fails) {
        errno = EIO;
        done = -1;
    } else {
        done = real(fd);
        if (!done) trace("sync", NULL, 0, 0);
        if (after && syncs >= after) die();
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }
int fsync(int fd) { return synced(fd, "fsync"); }

/* ----------------------------------------------------------------- writes */

/* Whether a write of these bytes is to fail; what may go on is traced. */
static int refused(int fd, const struct iovec *parts, int count) {
    enum file file = file_of(fd);
    if (file == OTHER) return 0;
    pthread_mutex_lock(&lock);
    int full = order("full") != 0;
    if (!full && file == LOG) trace("write", parts, count, 1);
    pthread_mutex_unlock(&lock);
    if (full) errno = ENOSPC;
    return full;
}

static void about_to_send(const struct iovec *parts, int count) {
    for (int i = 0; i < count; i++) {
        if (!memmem(parts[i].iov_base, parts[i].iov_len, "eth_sendRawTransaction", 22)) continue;
        pthread_mutex_lock(&lock);
        trace("send", parts, count, 0);
        pthread_mutex_unlock(&lock);
        return;
    }
}

#define REAL(result, name, ...) ((result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    if (refused(fd, &part, 1)) return -1;
    about_to_send(&part, 1);
    return syscall(SYS_write, fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (refused(fd, parts, count)) return -1;
    about_to_send(parts, count);
    return REAL(ssize_t, writev, int, const struct iovec *, int)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    struct iovec part = {(void *)bytes, length};
    if (refused(fd, &part, 1)) return -1;
    return REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    struct iovec part = {(void *)bytes, length};
    about_to_send(&part, 1);
    return REAL(ssize_t, send, int, const void *, size_t, int)(fd, bytes, length, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    struct iovec part = {(void *)bytes, length};
    about_to_send(&part, 1);
    return REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t)(
        fd, bytes, length, flags, to, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    about_to_send(message->msg_iov, (int)message->msg_iovlen);
    return REAL(ssize_t, sendmsg, int, const struct msghdr *, int)(fd, message, flags);
}
