/* process.c - what the process costs, in the names that all programs use for it. */
#include "admin-http/admin_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static void process_put(struct buf *b, const char *name, const char *kind, const char *help)
{
    buf_putf(b, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, kind, name);
}

/* Resident pages: the second number of the file. 0: it cannot be read. */
static uint64_t process_pages(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    struct sl rest = sl_make(text, n > 0 ? (size_t)n : 0), word = SL_NULL;
    uint64_t pages = 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    if (sl_next(&rest, ' ', &word) != 0 || sl_next(&rest, ' ', &word) != 0 ||
        sl_u64(word, UINT32_MAX, &pages) != 0) {
        return 0;
    }
    return pages;
}

static unsigned process_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    if (dir == NULL) {
        return 0;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += e->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(dir);
    return n - (n != 0 ? 1 : 0); /* the one of this look */
}

static double process_seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void process_metrics(struct buf *b)
{
    struct rusage use = {0};
    struct rlimit files = {0};

    if (getrusage(RUSAGE_SELF, &use) == 0) {
        process_put(b, "process_cpu_seconds_total", "counter", "CPU time of user and system");
        buf_putf(b, "%.6f\n", process_seconds(use.ru_utime) + process_seconds(use.ru_stime));
    }
    process_put(b, "process_resident_memory_bytes", "gauge", "Memory in use");
    buf_putf(b, "%llu\n", (unsigned long long)(process_pages() * (uint64_t)sysconf(_SC_PAGESIZE)));
    process_put(b, "process_open_fds", "gauge", "Open descriptors");
    buf_putf(b, "%u\n", process_files());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        process_put(b, "process_max_fds", "gauge", "How many there may be");
        buf_putf(b, "%llu\n", (unsigned long long)files.rlim_cur);
    }
}
