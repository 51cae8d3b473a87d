#include "common/process_metrics.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "common/version.h"

static const slc_metric table[] = {
    {"sluice_build_info", SLC_GAUGE, "Always 1.", {"version", "commit"}, 0, NULL},
    {"sluice_disk_free_bytes",
     SLC_GAUGE,
     "What is left for the program on the disk of its data or state folder.",
     {NULL},
     1,
     NULL},
    {"sluice_disk_size_bytes", SLC_GAUGE, "The size of that disk.", {NULL}, 1, NULL},
    {"process_resident_memory_bytes", SLC_GAUGE, "Resident memory.", {NULL}, 1, NULL},
    {"process_cpu_seconds_total", SLC_COUNTER, "CPU time used, in whole seconds.", {NULL}, 1, NULL},
    {"process_open_fds", SLC_GAUGE, "Open file descriptors.", {NULL}, 1, NULL},
    {"process_start_time_seconds", SLC_GAUGE, "Unix time at which the process started.", {NULL}, 1, NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

void slc_process_metrics_register(void)
{
    const char *build[] = {SLC_VERSION, SLC_COMMIT};
    slc_metrics_register(table);
    slc_series_set(slc_metrics_series("sluice_build_info", build), 1);
    slc_series_set(slc_metrics_series("process_start_time_seconds", NULL), slc_wall_ms() / 1000);
}

static int64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t open_descriptors(void)
{
    int64_t count = -3; /* ., .. and the one that reads */
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void note_disk(const char *folder)
{
    struct statvfs disk;
    if (statvfs(folder, &disk) != 0)
        return;
    int64_t block = (int64_t)disk.f_frsize;
    slc_series_set(slc_metrics_series("sluice_disk_free_bytes", NULL), (int64_t)disk.f_bavail * block);
    slc_series_set(slc_metrics_series("sluice_disk_size_bytes", NULL), (int64_t)disk.f_blocks * block);
}

void slc_process_metrics_refresh(const char *folder)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    slc_series *cpu = slc_metrics_series("process_cpu_seconds_total", NULL);
    slc_series_add(cpu, (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) - slc_series_value(cpu));
    slc_series_set(slc_metrics_series("process_resident_memory_bytes", NULL), resident_bytes());
    slc_series_set(slc_metrics_series("process_open_fds", NULL), open_descriptors());
    note_disk(folder);
}
