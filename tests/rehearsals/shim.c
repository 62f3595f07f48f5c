/*
 * Stands between the loader and the C library (LD_PRELOAD), counts the calls that touch a disk or the network, and does
 * harm at the ones it is told: kills or stops the process before the call, lets it fail, tears it in half. strace can inject the
 * same, but counts every thread by itself, so a worker's third write is never reached once the main thread had its own.
 *
 * Until it is armed it does nothing. What is counted: calls on files below `root`, on sockets, and on pipes never.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, SEND = 4, RECEIVE = 8, NAME = 16 };
enum { COUNT = 0, KILL = 1, NO_SPACE = 2, IO_ERROR = 3, TEAR = 4, STOP = 5 };

static struct {
    int armed, classes, action, log;
    long first, last;      /* the calls to harm, from 1 */
    char root[PATH_MAX];   /* files below it are counted */
    char match[NAME_MAX];  /* only paths that contain this; empty: all */
    char durable[PATH_MAX]; /* where to keep what a power cut would leave; empty: nowhere */
} order;
static atomic_long calls;

static void place_of(int fd, char *place)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, place, PATH_MAX - 1);
    place[length < 0 ? 0 : length] = 0;
}

/* Count a call; give what to do to it. */
static int met(int class, const char *name, const char *place, long long offset, size_t size)
{
    if (!order.armed || !(order.classes & class))
        return COUNT;
    int socket = !strncmp(place, "socket:", 7);
    if (!socket && strncmp(place, order.root, strlen(order.root)))
        return COUNT;
    if (order.match[0] && !strstr(place, order.match))
        return COUNT;
    long number = atomic_fetch_add(&calls, 1) + 1;
    int harmed = number >= order.first && number <= order.last && order.action != COUNT;
    if (order.log >= 0) {
        char line[PATH_MAX + 128];
        const char *shown = socket ? "socket" : place + strlen(order.root);
        int length = snprintf(line, sizeof line, "%ld %s %s %lld %zu%s\n", number, name, shown, offset, size, harmed ? " !" : "");
        syscall(SYS_write, order.log, line, length);
    }
    if (harmed && order.action == KILL)
        syscall(SYS_kill, getpid(), SIGKILL);
    if (harmed && order.action == STOP) { /* until somebody lets it go on */
        syscall(SYS_kill, getpid(), SIGSTOP);
        return COUNT;
    }
    return harmed ? order.action : COUNT;
}

static int on_descriptor(int class, const char *name, int fd, long long offset, size_t size)
{
    char place[PATH_MAX];
    if (!order.armed || !(order.classes & class))
        return COUNT;
    int before = errno;
    place_of(fd, place);
    int action = met(class, name, place, offset, size);
    errno = before;
    return action;
}

#define DIE() syscall(SYS_kill, getpid(), SIGKILL)

/* What cannot be torn dies instead. */
static int fails(int action)
{
    if (action == TEAR) DIE();
    errno = action == NO_SPACE ? ENOSPC : EIO;
    return action == NO_SPACE || action == IO_ERROR;
}

void shim_arm(const char *root, const char *log, int classes, int action, long first, long last, const char *match,
              const char *durable)
{
    snprintf(order.durable, sizeof order.durable, "%s", durable);
    snprintf(order.root, sizeof order.root, "%s", root);
    snprintf(order.match, sizeof order.match, "%s", match);
    order.log = log[0] ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    order.classes = classes;
    order.action = action;
    order.first = first;
    order.last = last;
    calls = 0;
    order.armed = 1;
}

#define REAL(name) \
    static typeof(&name) real; \
    if (!real) real = (typeof(&name))dlsym(RTLD_NEXT, #name)

#define DIE() syscall(SYS_kill, getpid(), SIGKILL)

/* A call that can be torn: half of it is done, then the process dies. */
#define TORN(class, name, parameters, arguments, torn, offset, size) \
    ssize_t name parameters \
    { \
        REAL(name); \
        int action = on_descriptor(class, #name, fd, offset, size); \
        if (action == TEAR) { real torn; DIE(); } \
        if (fails(action)) return -1; \
        return real arguments; \
    }

TORN(WRITE, write, (int fd, const void *data, size_t size), (fd, data, size), (fd, data, size / 2), -1, size)
TORN(WRITE, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), (fd, data, size / 2, at), at, size)
TORN(WRITE, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), (fd, data, size / 2, at), at, size)
TORN(WRITE, writev, (int fd, const struct iovec *data, int size), (fd, data, size), (fd, data, size / 2), -1, size)

/* Name a file for good: an inode's number is used again, its birth is not. */
static int identity(int folder, const char *name, char *id, size_t size)
{
    struct statx found;
    if (statx(folder, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_TYPE, &found))
        return -1;
    snprintf(id, size, "%c%llu-%lld.%09u", S_ISDIR(found.stx_mode) ? 'd' : 'f', (unsigned long long)found.stx_ino,
             (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return 0;
}

/* Keep what a sync has made durable: a file's content, or the names in a folder. */
static void keep(int fd)
{
    char place[PATH_MAX], id[96], final[PATH_MAX + 128], unfinished[PATH_MAX + 160], data[65536];
    place_of(fd, place);
    if (!order.durable[0] || strncmp(place, order.root, strlen(order.root)) || identity(fd, "", id, sizeof id))
        return;
    snprintf(final, sizeof final, "%s/%s", order.durable, id);
    snprintf(unfinished, sizeof unfinished, "%s.%ld", final, syscall(SYS_gettid));
    int to = syscall(SYS_openat, AT_FDCWD, unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (id[0] == 'd') {
        DIR *folder = opendir(place);
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            char inner[96];
            if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
                !identity(dirfd(folder), entry->d_name, inner, sizeof inner))
                syscall(SYS_write, to, data, snprintf(data, sizeof data, "%s %s\n", inner, entry->d_name));
        }
        if (folder) closedir(folder);
    } else {
        int from = syscall(SYS_openat, AT_FDCWD, place, O_RDONLY | O_CLOEXEC, 0);
        for (long size; (size = syscall(SYS_read, from, data, sizeof data)) > 0;)
            syscall(SYS_write, to, data, size);
        syscall(SYS_close, from);
    }
    syscall(SYS_close, to);
    syscall(SYS_rename, unfinished, final);
}

#define SYNCS(name) \
    int name(int fd) \
    { \
        REAL(name); \
        int action = on_descriptor(SYNC, #name, fd, -1, 0); \
        if (fails(action)) return -1; \
        int result = real(fd); \
        if (order.armed && !result) keep(fd); \
        return result; \
    }

SYNCS(fsync)
SYNCS(fdatasync)

#define ON_DESCRIPTOR(class, type, name, parameters, arguments, size) \
    type name parameters \
    { \
        REAL(name); \
        int action = on_descriptor(class, #name, fd, -1, size); \
        if (fails(action)) return -1; \
        return real arguments; \
    }

ON_DESCRIPTOR(NAME, int, ftruncate, (int fd, off_t size), (fd, size), size)
ON_DESCRIPTOR(NAME, int, ftruncate64, (int fd, off64_t size), (fd, size), size)
ON_DESCRIPTOR(NAME, int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), size)
ON_DESCRIPTOR(NAME, int, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size), size)
ON_DESCRIPTOR(SEND, int, connect, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size), size)
TORN(SEND, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags), (fd, data, size / 2, flags), -1, size)
ON_DESCRIPTOR(SEND, ssize_t, sendmsg, (int fd, const struct msghdr *data, int flags), (fd, data, flags), 0)
ON_DESCRIPTOR(SEND, ssize_t, sendto, (int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
              socklen_t length), (fd, data, size, flags, to, length), size)
ON_DESCRIPTOR(RECEIVE, ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags), size)
ON_DESCRIPTOR(RECEIVE, ssize_t, recvfrom, (int fd, void *data, size_t size, int flags, struct sockaddr *from,
              socklen_t *length), (fd, data, size, flags, from, length), size)

static int on_path(const char *name, int folder, const char *path)
{
    char place[PATH_MAX] = "";
    if (!order.armed || !(order.classes & NAME))
        return COUNT;
    int before = errno;
    if (path[0] != '/') {
        if (folder == AT_FDCWD ? !getcwd(place, sizeof place - 1) : (place_of(folder, place), 0))
            place[0] = 0;
        strncat(place, "/", sizeof place - strlen(place) - 1);
    }
    strncat(place, path, sizeof place - strlen(place) - 1);
    int action = met(NAME, name, place, -1, 0);
    errno = before;
    return action;
}

#define ON_PATH(type, name, folder, parameters, arguments) \
    type name parameters \
    { \
        REAL(name); \
        if (fails(on_path(#name, folder, path))) return -1; \
        return real arguments; \
    }

ON_PATH(int, rename, AT_FDCWD, (const char *path, const char *to), (path, to))
ON_PATH(int, renameat, from, (int from, const char *path, int into, const char *to), (from, path, into, to))
ON_PATH(int, unlink, AT_FDCWD, (const char *path), (path))
ON_PATH(int, unlinkat, from, (int from, const char *path, int flags), (from, path, flags))
ON_PATH(int, mkdir, AT_FDCWD, (const char *path, mode_t mode), (path, mode))

/* Opening is counted where it may make a file. */
#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if ((flags & O_CREAT) && fails(on_path(#name, AT_FDCWD, path))) return -1; \
        return real(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)
