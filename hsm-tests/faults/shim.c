/*
 * Faults of a disk, for tests: loaded with LD_PRELOAD, this stands between a process and write, pwrite, fsync and
 * fdatasync. The file that FAULT_CONTROL names holds one line, or does not exist, which means no faults:
 *
 *     MODE OPERATION NTH ERRNO PART
 *
 *     MODE       fail     the call does nothing and fails, and so does every later one, until the line changes
 *                persist  the call does its work, and says once that it failed
 *                kill     the process ends by SIGKILL before the call does anything
 *     OPERATION  write or sync
 *     NTH        which call on such a file, counted by each process from 1 since the line changed
 *     ERRNO      the number of the error
 *     PART       what the file's path must contain; a `$` at its end stands for the end of the path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum verdict { PASS, FAIL, PERSIST };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last_line[512];
static long calls;

static int matches(const char *path, const char *part) {
    size_t length = strlen(part);
    if (length > 0 && part[length - 1] == '$') {
        size_t path_length = strlen(path);
        length -= 1;
        return path_length >= length && strncmp(path + path_length - length, part, length) == 0;
    }
    return strstr(path, part) != NULL;
}

/* Reads the line with plain system calls' wrappers that this file does not replace. */
static int read_line(char *line, size_t size) {
    const char *control = getenv("FAULT_CONTROL");
    FILE *file = control ? fopen(control, "re") : NULL;
    if (!file)
        return 0;
    char *got = fgets(line, (int)size, file);
    fclose(file);
    return got != NULL;
}

static enum verdict judge(int fd, const char *operation) {
    char line[512], mode[16], wanted[16], part[256], link[64], path[1024];
    long nth;
    int error;
    if (!read_line(line, sizeof line) ||
        sscanf(line, "%15s %15s %ld %d %255s", mode, wanted, &nth, &error, part) != 5 || strcmp(operation, wanted) != 0)
        return PASS;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return PASS;
    path[length] = '\0';
    if (!matches(path, part))
        return PASS;
    pthread_mutex_lock(&lock);
    if (strcmp(line, last_line) != 0) {
        strcpy(last_line, line);
        calls = 0;
    }
    long number = ++calls;
    pthread_mutex_unlock(&lock);
    if (number < nth)
        return PASS;
    errno = error;
    if (strcmp(mode, "fail") == 0)
        return FAIL;
    if (number > nth)
        return PASS;
    if (strcmp(mode, "kill") == 0)
        raise(SIGKILL);
    return PERSIST;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define FAULTY(type, name, operation, parameters, ...)                                                                 \
    type name parameters {                                                                                             \
        enum verdict verdict = judge(fd, operation);                                                                   \
        int error = errno;                                                                                             \
        if (verdict == FAIL)                                                                                           \
            return -1;                                                                                                 \
        type done = REAL(name)(__VA_ARGS__);                                                                           \
        if (verdict == PERSIST) {                                                                                      \
            errno = error;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
        return done;                                                                                                   \
    }

FAULTY(ssize_t, write, "write", (int fd, const void *bytes, size_t size), fd, bytes, size)
FAULTY(ssize_t, pwrite, "write", (int fd, const void *bytes, size_t size, off_t at), fd, bytes, size, at)
FAULTY(ssize_t, pwrite64, "write", (int fd, const void *bytes, size_t size, off64_t at), fd, bytes, size, at)
FAULTY(int, fsync, "sync", (int fd), fd)
FAULTY(int, fdatasync, "sync", (int fd), fd)
