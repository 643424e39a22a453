/* SPDX-License-Identifier: MIT */
/*
 * The effects of a request, as they are noted for the worker that comes next (unanswered.h), which
 * handles the request again: it does not repeat them, and knows what they gave.
 */
#ifndef IPCFS_EFFECTS_H
#define IPCFS_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Notes that the request of this thread has an effect from now on whose result is lost with the
 * worker. Returns what was noted before, for ipcfs_effects_set when it had none.
 */
bool ipcfs_effects_act(void);
void ipcfs_effects_set(bool lost);

/* The knowledge of a call that a request makes. Requests make their calls in the same order again. */
enum ipcfs_call {
	IPCFS_CALL_NEW,	    /* it is to be made */
	IPCFS_CALL_DONE,    /* a worker before has made it, with its effect */
	IPCFS_CALL_PERHAPS, /* a worker before has died in it */
	IPCFS_CALL_SURELY, /* the same, and it had its effect if it was made: nothing was in its way */
};

/*
 * Returns what is known of the call that comes next. After IPCFS_CALL_NEW note it with
 * ipcfs_effects_calling directly before it is made, unless it blocks: then it has mostly had no
 * effect before it returns. `sure`: it will have its effect. After it, and after IPCFS_CALL_PERHAPS
 * or SURELY, say whether it had its effect.
 */
enum ipcfs_call ipcfs_effects_call(void);
void ipcfs_effects_calling(bool sure);
void ipcfs_effects_called(bool done);

/* Notes that the calls of a worker before need not come again: their results are known. */
void ipcfs_effects_settle(void);

/* Returns how many calls of the request a worker before has made that are still to come. */
unsigned ipcfs_effects_to_come(void);

/*
 * Returns memory, which the next worker finds, for `size` bytes that a call receives. Behind what
 * the request has received before. NULL: nothing is noted, or there is no memory.
 */
void *ipcfs_effects_hand(size_t size);

/*
 * Returns what a worker before has received by the call that comes next. *size: it is not longer.
 * NULL: nothing.
 */
void *ipcfs_effects_in_hand(size_t *size);

/* Notes that the call has received so many bytes into the hand. */
void ipcfs_effects_took(size_t size);

/* Returns whether the effects of what this thread does are noted. */
bool ipcfs_effects_is_noted(void);

/* Returns how many calls the request of this thread has made, each with its effect. */
uint32_t ipcfs_effects_made(void);

struct ipcfs_effects;

/*
 * Has this thread note its effects elsewhere, or not at all (NULL). Returns where it has noted them
 * before.
 */
struct ipcfs_effects *ipcfs_effects_use(struct ipcfs_effects *effects);

/* What became of the only call that is noted somewhere, when the worker that made it has died. */
enum ipcfs_effects_end {
	IPCFS_EFFECTS_NONE, /* it was not made, or nobody knows whether it had its effect */
	IPCFS_EFFECTS_HAD,  /* it had its effect */
};

/* Tells that. After IPCFS_EFFECTS_NONE the call is to be made: nothing is noted any more. */
enum ipcfs_effects_end ipcfs_effects_end(struct ipcfs_effects *effects);

#endif
