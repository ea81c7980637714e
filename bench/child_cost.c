/*
 * child_cost [-x FILE] RUNS COMMAND…: runs a command that many times (each time without FILE), its
 * output thrown away, and prints the CPU time (user and system, of the child alone) and the elapsed
 * time of one run as JSON, in microseconds, and the most memory that one held:
 * {"runs":200,"cpu_us":{"p50":…,"p99":…,"mean":…}, "wall_us":{…},"peak_kb":…}. Fails when a run
 * does.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t elapsed_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t cpu_us(const struct rusage *usage) {
    return ((int64_t)usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
           usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int run_once(char **command, int null_fd, int64_t *cpu, int64_t *wall, int64_t *peak_kb) {
    int64_t began = elapsed_us();
    pid_t child = vfork();
    if (child == 0) {
        (void)dup2(null_fd, STDOUT_FILENO);
        (void)execv(command[0], command);
        _exit(127);
    }
    int status = -1;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        return -1;
    }
    *wall = elapsed_us() - began;
    *cpu = cpu_us(&usage);
    *peak_kb = usage.ru_maxrss > *peak_kb ? usage.ru_maxrss : *peak_kb;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void print_figures(const char *name, int64_t *values, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    qsort(values, count, sizeof *values, by_size);
    (void)printf(",\"%s\":{\"p50\":%lld,\"p99\":%lld,\"mean\":%lld}", name,
                 (long long)values[count / 2], (long long)values[(count * 99 + 99) / 100 - 1],
                 (long long)(sum / (int64_t)count));
}

int main(int argc, char **argv) {
    int64_t peak_kb = 0;
    const char *without = NULL;
    if (argc > 2 && strcmp(argv[1], "-x") == 0) {
        without = argv[2];
        argv += 2;
        argc -= 2;
    }
    size_t runs = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int64_t *cpu = calloc(runs + 1, sizeof *cpu);
    int64_t *wall = calloc(runs + 1, sizeof *wall);
    if (runs == 0 || runs > 1000000 || null_fd < 0 || cpu == NULL || wall == NULL) {
        (void)fputs("usage: child_cost [-x FILE] RUNS COMMAND…\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < runs; i++) {
        if (without != NULL) {
            (void)unlink(without);
        }
        if (run_once(argv + 2, null_fd, &cpu[i], &wall[i], &peak_kb) != 0) {
            (void)fprintf(stderr, "child_cost: run %zu of %s failed\n", i, argv[2]);
            return 1;
        }
    }
    (void)printf("{\"runs\":%zu", runs);
    print_figures("cpu_us", cpu, runs);
    print_figures("wall_us", wall, runs);
    (void)printf(",\"peak_kb\":%lld}\n", (long long)peak_kb);
    free(cpu);
    free(wall);
    return 0;
}
