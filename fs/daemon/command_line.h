/* SPDX-License-Identifier: MIT */
/* Reading the command line into struct ipcfs_options. */
#ifndef IPCFS_COMMAND_LINE_H
#define IPCFS_COMMAND_LINE_H

#include "fs/ops/options.h"

struct fuse_args;

/*
 * Takes the options and arguments of ipcfs out of *args, and leaves those of libfuse. With
 * `sloppy`, ignores unknown options of -o. Free *options with ipcfs_options_free.
 * -EINVAL: an option is wrong. A message was written to stderr.
 */
int ipcfs_options_parse(struct fuse_args *args, bool sloppy, struct ipcfs_options *options);
void ipcfs_options_free(struct ipcfs_options *options);

/* Prints the text of --help on stdout. */
void ipcfs_options_help(void);

#endif
