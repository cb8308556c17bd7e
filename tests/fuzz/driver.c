/* driver.c - replays files through one fuzz target without libFuzzer, so that the corpora run with
 * any compiler. Arguments are files or directories; the last line says how many were replayed. */
#include "base/base.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DRIVER_FILE_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A block of exactly the input's size: a sanitizer sees the first byte read past the end. */
static int driver_file(const char *path)
{
    static uint8_t whole[DRIVER_FILE_MAX];
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t n = 0;

    if (f == NULL) {
        fprintf(stderr, "driver: cannot open %s\n", path);
        return -1;
    }
    n = fread(whole, 1, sizeof(whole), f);
    fclose(f);
    data = malloc(n != 0 ? n : 1);
    if (data == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        data[i] = whole[i];
    }
    fprintf(stderr, "%s\n", path); /* a crash is then known by its file */
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 1;
}

static int driver_dir(const char *path)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, alphasort);
    int done = 0;

    for (int i = 0; i < n; i++) {
        char name[PATH_MAX];
        int len = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        int got = 0;

        if (entries[i]->d_name[0] != '.') {
            got = len > 0 && (size_t)len < sizeof(name) ? driver_file(name) : -1;
        }
        free(entries[i]);
        done = got < 0 || done < 0 ? -1 : done + got;
    }
    free(entries);
    return n < 0 ? -1 : done;
}

int main(int argc, char **argv)
{
    int done = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int got = -1;

        if (stat(argv[i], &st) == 0) {
            got = S_ISDIR(st.st_mode) ? driver_dir(argv[i]) : driver_file(argv[i]);
        }
        if (got < 0) {
            return EXIT_FAILURE;
        }
        done += got;
    }
    printf("replayed %d\n", done);
    return EXIT_SUCCESS;
}
