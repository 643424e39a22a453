/* SPDX-License-Identifier: MIT */
/*
 * Watches for file systems that ordinary users mount over files of this mount: they would get what
 * others write there. The operations already refuse fusermount3; this finds what another program
 * with privileges has let a user do. Mounts of root stay, and so do mounts of other mount
 * namespaces, which only the processes in these see.
 */
#ifndef IPCFS_COVERS_H
#define IPCFS_COVERS_H

struct ipcfs_covers;

/*
 * Starts a thread that unmounts what an ordinary user mounts below `mountpoint`, or below another
 * mount of the same file system, and logs it. It sleeps while nothing is mounted or unmounted in
 * the mount namespace. Returns NULL, after a warning, where it can't be started.
 */
struct ipcfs_covers *ipcfs_covers_start(const char *mountpoint);

/*
 * Ends the thread. Call after the mount was unmounted: until then the thread may wait for an
 * answer of the session. NULL does nothing.
 */
void ipcfs_covers_stop(struct ipcfs_covers *covers);

#endif
