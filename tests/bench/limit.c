/* The least that a queue in a directory can do for a job, in C: what this machine and its file system allow.

   limit MODE KIND JOBS PROCESSES DIRECTORY      prints: seconds for making the jobs, seconds for working them off,
                                                 seconds of processor time for that, the jobs' own included

   PROCESSES 0 makes the jobs and does no more
   MODE exec    starts each job where it lies, and waits for it
        full    claim by rename, link in claimed/, fresh scratch directory, start and wait, rename to completed/,
                link and directory removed: what any queue of this kind does
        worker  what a worker of Job Jar cannot do without for a short and silent job: two lines in a journal, claim by
                rename, start in a session of its own with its output appended to a file, wait, a look whether the name
                is free elsewhere, exclusive rename to completed/; the scratch directory is used again
   KIND script  two lines for /bin/sh, a file for each job
        link    names of one copy of /bin/true
   DIRECTORY    absolute; it is made, and must not be there */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A file can have about 65,000 names. */
enum { NAMES = 60000, LONGEST = 4096 };

extern char **environ;
static const char SCRIPT[] = "#!/bin/sh\nexec /bin/true\n";
static const char *top;
static int is_full, is_worker;

static void must(int is_good, const char *what) {
    if (!is_good) { perror(what); _exit(1); }
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static double used(void) {
    struct rusage found;
    getrusage(RUSAGE_CHILDREN, &found);
    return found.ru_utime.tv_sec + found.ru_stime.tv_sec + (found.ru_utime.tv_usec + found.ru_stime.tv_usec) / 1e6;
}

static void make_file(const char *path, const char *data, size_t size) {
    int handle = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
    must(handle >= 0 && write(handle, data, size) == (ssize_t)size && !close(handle), path);
}

static char *read_file(const char *path, size_t *size) {
    struct stat found;
    int handle = open(path, O_RDONLY);
    must(handle >= 0 && !fstat(handle, &found), path);
    char *data = malloc(found.st_size);
    must(data && read(handle, data, found.st_size) == found.st_size && !close(handle), path);
    *size = found.st_size;
    return data;
}

static void fill(const char *kind, int jobs) {
    char path[64], original[32];
    size_t size = 0;
    int is_link = !strcmp(kind, "link");
    char *program = is_link ? read_file("/bin/true", &size) : NULL;
    for (int i = 0; i < jobs; i++) {
        snprintf(path, sizeof path, "unclaimed/20260301-101502-ada-%09d.0", i);
        if (!is_link) { make_file(path, SCRIPT, sizeof SCRIPT - 1); continue; }
        snprintf(original, sizeof original, "true-%d", i / NAMES);
        if (i % NAMES == 0) make_file(original, program, size);
        must(!link(original, path), path);
    }
    free(program);
}

static void write_line(int journal, const char *event, const char *name) {
    char line[LONGEST];
    /* As long as a worker's lines are. */
    int size = snprintf(line, sizeof line, "{\"e\": \"%s\", \"n\": \"%s\", \"more\": \"%*s\"}\n", event, name,
                        event[0] == 'e' ? 350 : 50, "");
    must(write(journal, line, size) == size, "journal");
}

static void run(const char *file, const char *scratch, const char *output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *arguments[] = {(char *)file, NULL};
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (is_full || is_worker) posix_spawn_file_actions_addchdir_np(&actions, scratch);
    if (is_worker) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0600);
        posix_spawn_file_actions_adddup2(&actions, 1, 2);
    }
    errno = posix_spawn(&child, file, &actions, &attributes, arguments, environ);
    must(!errno, file);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    must(waitpid(child, &status, 0) == child && !status, "a job");
}

static void finish(const char *name, const char *file, const char *final) {
    static const char *OTHERS[] = {"failed", "logs"};
    char path[300];
    struct stat found;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", OTHERS[i], name);
        must(lstat(path, &found) && errno == ENOENT, path);
    }
    if (!renameat2(AT_FDCWD, file, AT_FDCWD, final, RENAME_NOREPLACE)) return;
    /* A network file system has no exclusive rename: there the name is reserved. */
    must(errno == EINVAL && !symlink("reserved:rain.4711:01c699ffffc-2daf99.4583-3", final), final);
    must(!rename(file, final), final);
}

static void serve(const char *name, int me, int journal) {
    char from[300], file[LONGEST], text[400], view[300], scratch[LONGEST], output[LONGEST], final[300];
    snprintf(from, sizeof from, "unclaimed/%s", name);
    snprintf(file, sizeof file, "%s/%s", top, from);
    snprintf(scratch, sizeof scratch, "%s/workers/%d/scratch", top, me);
    snprintf(output, sizeof output, "%s/workers/%d/output", top, me);
    if (!is_full && !is_worker) { run(file, scratch, output); return; }
    if (is_worker) write_line(journal, "claim", name);
    snprintf(file, sizeof file, "%s/workers/%d/claims/%s", top, me, name);
    if (rename(from, file)) { must(errno == ENOENT, from); return; }
    snprintf(final, sizeof final, "completed/%s", name);
    if (is_worker) {
        run(file, scratch, output);
        write_line(journal, "end", name);
        finish(name, file, final);
        return;
    }
    snprintf(text, sizeof text, "../workers/%d/claims/%s", me, name);
    snprintf(view, sizeof view, "claimed/%s", name);
    must(!symlink(text, view), view);
    must(!mkdir(scratch, 0700), scratch);
    run(file, scratch, output);
    must(!rename(file, final), final);
    must(!unlink(view), view);
    must(!rmdir(scratch), scratch);
}

static int is_job(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* Each process begins at another place and goes round once, so that they meet at the end alone. */
static void work(int me, int processes) {
    struct dirent **names;
    char directory[64], path[128];
    snprintf(directory, sizeof directory, "workers/%d", me);
    must(!mkdir(directory, 0755), directory);
    snprintf(path, sizeof path, "%s/claims", directory);
    must(!mkdir(path, 0755), path);
    snprintf(path, sizeof path, "%s/scratch", directory);
    must(is_full || !mkdir(path, 0700), path);
    snprintf(path, sizeof path, "%s/journal", directory);
    int journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int count = scandir("unclaimed", &names, is_job, alphasort);
    must(journal >= 0 && count >= 0, directory);
    int first = (long)count * me / processes;
    /* Nothing is claimed where the jobs stay in their place: there each has its own. */
    int last = is_full || is_worker ? first + count : (long)count * (me + 1) / processes;
    for (int i = first; i < last; i++) serve(names[i % count]->d_name, me, journal);
    close(journal);
}

int main(int count, char **words) {
    static const char *DIRECTORIES[] = {"unclaimed", "workers", "claimed", "completed", "failed", "logs"};
    int status, bad = 0;
    if (count != 6) { fprintf(stderr, "usage: limit MODE KIND JOBS PROCESSES DIRECTORY\n"); return 2; }
    int processes = atoi(words[4]);
    is_full = !strcmp(words[1], "full");
    is_worker = !strcmp(words[1], "worker");
    top = words[5];
    must(!mkdir(top, 0755) && !chdir(top), top);
    for (int i = 0; i < 6; i++) must(!mkdir(DIRECTORIES[i], 0755), DIRECTORIES[i]);
    double began = now();
    fill(words[2], atoi(words[3]));
    double filled = now();
    /* One alone needs no process of its own: so a tracer sees what it does and not what the jobs do. */
    if (processes == 1) work(0, 1);
    for (int me = 0; processes > 1 && me < processes; me++) {
        pid_t child = fork();
        must(child >= 0, "fork");
        if (!child) { work(me, processes); _exit(0); }
    }
    while (wait(&status) > 0) bad |= status;
    printf("%.6f %.6f %.6f\n", filled - began, now() - filled, used());
    return bad != 0;
}
