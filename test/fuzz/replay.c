/* Runs a target over the seeds that the arguments name, files or folders: without libFuzzer, so
 * that what fuzzing found stays found in every build. */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static unsigned n_run;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t len;

    MUST(file != NULL && fstat(fileno(file), &st) == 0);
    len = (size_t)st.st_size;
    data = malloc(len ? len : 1);
    MUST(data != NULL && fread(data, 1, len, file) == len);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last one told is the one that failed */
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    n_run++;
}

static void run_folder(const char *path, DIR *folder)
{
    struct dirent *entry;
    char name[4096];

    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        run_file(name);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);

        if (folder)
            run_folder(argv[i], folder);
        else
            run_file(argv[i]);
        if (folder)
            closedir(folder);
    }
    printf("%u seeds\n", n_run);
    return n_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
