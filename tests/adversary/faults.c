// Loaded into `admire` before libc (LD_PRELOAD): counts its calls of the system that are about the folder FAULT_DIR, or that start a
// process, and at call number FAULT_AT does what FAULT_KIND says:
//   fail   lets the call fail with the error number FAULT_ERRNO
//   cut    cuts the power: what was written and not yet synced is lost, and the process is gone
// Appends the number of calls so far to FAULT_COUNT, if given, whenever the process ends in order.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { NOTHING, FAIL, CUT };
enum { FILES = 512 };

static enum kind kind;
static long at, calls;
static int error;
static char dir[PATH_MAX], count[PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Files that were written to, by inode, and how many of their bytes are safe.
static struct { dev_t device; ino_t inode; char path[PATH_MAX]; off_t safe; } files[FILES];
static int known;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *what = getenv("FAULT_KIND");
    kind = !what ? NOTHING : !strcmp(what, "cut") ? CUT : FAIL;
    if (getenv("FAULT_AT")) at = atol(getenv("FAULT_AT"));
    if (getenv("FAULT_ERRNO")) error = atoi(getenv("FAULT_ERRNO"));
    if (getenv("FAULT_DIR")) snprintf(dir, sizeof dir, "%s", getenv("FAULT_DIR"));
    if (getenv("FAULT_COUNT")) snprintf(count, sizeof count, "%s", getenv("FAULT_COUNT"));
    // Trainers are left alone.
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    FILE *file = count[0] ? fopen(count, "a") : NULL;
    if (file) { fprintf(file, "%ld\n", calls); fclose(file); }
}

static int inside(const char *path) { return kind && dir[0] && path && strstr(path, dir); }

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = 0;
    return inside(path);
}

static void cut(void) {
    for (int i = 0; i < known; i++) {
        struct stat now;
        if (stat(files[i].path, &now) == 0 && now.st_ino == files[i].inode && now.st_size > files[i].safe)
            if (truncate(files[i].path, files[i].safe)) _exit(99);
    }
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

// Whether this call is to fail.
static int fails(void) {
    pthread_mutex_lock(&lock);
    int now = ++calls == at;
    if (now && kind == CUT) cut();
    pthread_mutex_unlock(&lock);
    if (now) errno = error;
    return now;
}

// Before the first write to a file all of it is safe; after a sync it is again; a new name changes nothing.
static void remember(int fd, const char *path, int synced) {
    struct stat now;
    if (fstat(fd, &now) || !S_ISREG(now.st_mode)) return;
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < known && (files[i].inode != now.st_ino || files[i].device != now.st_dev)) i++;
    if (i == known && known < FILES) {
        known++;
        files[i].device = now.st_dev;
        files[i].inode = now.st_ino;
        files[i].safe = now.st_size;
    }
    if (i < known) {
        if (synced) files[i].safe = now.st_size;
        snprintf(files[i].path, sizeof files[i].path, "%s", path);
    }
    pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    char path[PATH_MAX];
    if (kind && fd > 2 && path_of(fd, path)) {
        remember(fd, path, 0);
        if (fails()) return -1;
    }
    return NEXT(write)(fd, bytes, n);
}

ssize_t read(int fd, void *bytes, size_t n) {
    char path[PATH_MAX];
    if (kind && fd > 2 && path_of(fd, path) && fails()) return -1;
    return NEXT(read)(fd, bytes, n);
}

static int sync_with(int (*sync)(int), int fd) {
    char path[PATH_MAX];
    int ours = kind && path_of(fd, path);
    if (ours && fails()) return -1;
    int result = sync(fd);
    if (ours && result == 0) remember(fd, path, 1);
    return result;
}

int fsync(int fd) { return sync_with(NEXT(fsync), fd); }
int fdatasync(int fd) { return sync_with(NEXT(fdatasync), fd); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    if (kind && path_of(fd, path) && fails()) return -1;
    return NEXT(ftruncate64)(fd, length);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (inside(path) && fails()) return -1;
    return NEXT(open64)(path, flags, mode);
}

int rename(const char *from, const char *to) {
    if ((inside(from) || inside(to)) && fails()) return -1;
    int result = NEXT(rename)(from, to);
    pthread_mutex_lock(&lock);
    for (int i = 0; result == 0 && i < known; i++)
        if (!strcmp(files[i].path, from)) snprintf(files[i].path, sizeof files[i].path, "%s", to);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    if (inside(path) && fails()) return -1;
    return NEXT(mkdir)(path, mode);
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    if (inside(from) && fails()) return -1;
    return NEXT(linkat)(a, from, b, to, flags);
}

int unlink(const char *path) {
    if (inside(path) && fails()) return -1;
    return NEXT(unlink)(path);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                 char *const argv[], char *const envp[]) {
    if (kind && fails()) return error;
    return NEXT(posix_spawnp)(pid, file, actions, attributes, argv, envp);
}
