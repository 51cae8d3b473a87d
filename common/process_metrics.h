/* What every program of Sluice tells of itself in /metrics: its build, memory, CPU, descriptors, and the disk
 * that its folder is on. */
#ifndef SLC_COMMON_PROCESS_METRICS_H
#define SLC_COMMON_PROCESS_METRICS_H

/* Once, before threads start. */
void slc_process_metrics_register(void);
/* Gauges that are read when they are scraped. `folder` is the program's own, on its disk. Any thread. */
void slc_process_metrics_refresh(const char *folder);

#endif
