/* SPDX-License-Identifier: MIT */
/*
 * Reads that wait for a System V queue: the thread of the waitqueue waits in msgrcv(2), and the
 * loop thread gets it out of the call. Message 2 is an empty one, which the blocking call takes.
 * See README.md.
 *
 * Mutations. Each takes one line of the code away, and spin has to find what it breaks:
 * -DNO_KICK            ipcfs_waiter_leave: lets the thread wait for nobody
 * -DNO_KICK_AGAIN      check_now: kicks once only, perhaps just before the call
 * -DNO_KICK_TRYING     serve_head: a change while it tries is not noticed
 * -DNO_RECHECK         ipcfs_waits_recheck: does not kick
 * -DNO_BUSY            end_waiter: ends a wait whose attempt runs at this moment
 * -DNO_END_REASON      serve_head: forgets that the wait is to end
 * -DNO_UNCLAIMED       give_empty_message: drops a message that no waiter can have
 * -DNO_START           enqueue: starts no thread where the old one has ended
 * -DFREE_THREADED      ipcfs_waitqueue_is_idle: frees a waitqueue that has a thread
 * -DNO_DIRTY_THREAD    waitqueue_main: ends without having the waitqueue freed
 */

#define READERS 2
#define MESSAGES 2
#define EMPTY 2

mtype = { OK, EAGAIN, EINTR, ETIMEDOUT, ENOTCONN, EACCES };

typedef waiter {
	bool told;	  /* libfuse has read INTERRUPT for the request */
	bool interrupted; /* in the list of interrupted waiters */
	bool queued;	  /* wq is set */
	bool busy;
	bool freed;
	mtype end_reason;
	byte taken;
	byte answers;
};
waiter w[READERS];

chan queue = [MESSAGES] of { byte };
byte sent[MESSAGES + 1], given[MESSAGES + 1];
bool allowed = true; /* the readers may receive */

/* The wait room and its waitqueue. What the code does with its lock held is atomic here. */
chan head = [READERS] of { byte };
bool exists, dirty, listed, threaded, calling, kicked;
bool in_call;	/* the thread is in msgrcv(2): a signal gets it out */
bool signalled; /* SIGUSR1 came while it was there */
bool wake, stopping, over;
bool due; /* the deadline of the second reader has come */

inline ipcfs_waitqueue_set_dirty()
{
	if
	:: !dirty -> dirty = true; listed = true
	:: else
	fi
}

inline ipcfs_waitqueue_kick()
{
	if
	:: threaded && calling ->
		if
		:: !kicked -> kicked = true; wake = true
		:: else
		fi;
		if
		:: in_call -> signalled = true
		:: else /* the signal is lost */
		fi
	:: else
	fi
}

/* Call in an atomic sequence, as all above. */
inline ipcfs_waiter_leave(i)
{
	head??eval(i);
	w[i].queued = false;
	w[i].busy = false;
	if
	:: nempty(head)
	:: empty(head) && threaded ->
#ifndef NO_KICK
		ipcfs_waitqueue_kick()
#else
		skip
#endif
	:: empty(head) && !threaded -> ipcfs_waitqueue_set_dirty()
	fi
}

/* The answer, as answer_read of wait.pml, but nobody is killed here. */
inline ipcfs_waiter_finish(i, result)
{
	d_step {
		assert(!w[i].freed);
		assert(!w[i].queued);
		w[i].interrupted = false;
		w[i].answers++;
		if
		:: result == OK -> assert(w[i].taken != 0); given[w[i].taken]++
		:: else -> assert(w[i].taken == 0)
		fi;
		w[i].taken = 0;
		w[i].freed = true
	}
}

/* Judges the reader, then takes a message, without waiting. */
inline ipcfs_transfer_receive(i, result)
{
	if
	:: atomic { !allowed -> result = EACCES }
	:: atomic { allowed -> result = EAGAIN };
		atomic {
			if
			:: nempty(queue) -> queue?m; w[i].taken = m; m = 0; result = OK
			:: empty(queue)
			fi
		}
	fi
}

/* ipcfs_channel_read, ipcfs_waits_park and enqueue, in a session thread */
proctype session(byte i)
{
	mtype result = EAGAIN;
	byte m;

	if
	:: empty(head) -> ipcfs_transfer_receive(i, result)
	:: nempty(head)
	fi;
	if
	:: result == EAGAIN ->
		atomic {
			if
			:: stopping -> result = ENOTCONN
			:: !stopping ->
				exists = true;
				head!i;
				w[i].queued = true;
				if
				:: w[i].told -> w[i].interrupted = true; wake = true
				:: else
				fi;
#ifndef NO_START
				threaded = true; /* ipcfs_waitqueue_start */
#else
				threaded = threaded || !dirty;
#endif
				goto parked
			fi
		}
	:: else
	fi;
	ipcfs_waiter_finish(i, result);
parked:	skip
}

/* A signal for the first reader; note_interrupt. wait.pml has the details. */
proctype interrupt()
{
	atomic {
		w[0].told = true;
		if
		:: w[0].queued && !w[0].interrupted -> w[0].interrupted = true; wake = true
		:: else
		fi
	}
}

#ifndef NO_KICK_TRYING
#define CALLS_TRYING true
#else
#define CALLS_TRYING false
#endif

inline serve_head()
{
	ipcfs_transfer_receive(one, result);
	atomic {
		again = kicked;
		calling = false; kicked = false; /* leave_call */
		w[one].busy = false;
		if
#ifndef NO_END_REASON
		:: result == EAGAIN && w[one].end_reason ->
			result = w[one].end_reason;
			ipcfs_waiter_leave(one)
		:: result == EAGAIN && !w[one].end_reason
#else
		:: result == EAGAIN
#endif
			if
			:: !again -> calling = true /* wait_for_message: enter_call */
			:: else
			fi
		:: result != EAGAIN -> ipcfs_waiter_leave(one)
		fi
	}
	if
	:: result != EAGAIN -> ipcfs_waiter_finish(one, result)
	:: else
	fi
}

inline give_empty_message()
{
	if
	:: atomic { nempty(head) -> head?<one>; w[one].busy = true };
		if
		:: allowed -> result = OK; w[one].taken = EMPTY
		:: !allowed -> result = EACCES
		:: result = EACCES /* also ENOMEM */
		fi;
		atomic {
			w[one].busy = false;
			if
			:: result == OK -> ipcfs_waiter_leave(one)
			:: else
			fi
		}
	:: atomic { empty(head) -> result = EAGAIN }
	fi;
	if
	:: result == OK -> ipcfs_waiter_finish(one, result)
#ifndef NO_UNCLAIMED
	:: else -> queue!EMPTY /* ipcfs_transfer_unclaimed */
#else
	:: else
#endif
	fi
}

inline wait_for_message()
{
	in_call = true; /* from here on a signal counts */
	atomic {
		if
		:: signalled -> m = 0
		:: queue?[EMPTY] -> queue?m
		:: nempty(queue) && !queue?[EMPTY] -> m = 0 /* E2BIG */
		fi;
		in_call = false; signalled = false
	}
	atomic { calling = false; kicked = false } /* leave_call */
	if
	:: m == EMPTY -> m = 0; give_empty_message()
	:: else
	fi
}

/* waitqueue_main, again for each thread that enqueue starts */
active proctype waitqueue_thread()
{
	mtype result;
	byte one, m;
	bool again;

idle:	atomic { result = 0; one = 0; again = false }
end:	if
	:: atomic { threaded && nempty(head) ->
		head?<one>;
		w[one].busy = true;
		calling = CALLS_TRYING } /* enter_call */
		serve_head();
		if
		:: calling -> wait_for_message()
		:: else
		fi;
		goto idle
	:: atomic { threaded && empty(head) -> /* wait_for_arrival: stopped, or nobody came for a while */
		threaded = false;
#ifndef NO_DIRTY_THREAD
		ipcfs_waitqueue_set_dirty();
#endif
		wake = true }
		goto idle
	fi
}

/* Call in an atomic sequence. */
inline end_waiter(i, reason)
{
	w[i].end_reason = reason;
	if
#ifndef NO_BUSY
	:: w[i].busy -> ipcfs_waitqueue_kick()
	:: else ->
#else
	:: true ->
#endif
		ipcfs_waiter_leave(i);
		done = done | (1 << i)
	fi
}

inline finish_all()
{
	if
	:: done & 1 -> ipcfs_waiter_finish(0, w[0].end_reason)
	:: else
	fi;
	if
	:: done & 2 -> ipcfs_waiter_finish(1, w[1].end_reason)
	:: else
	fi;
	done = 0
}

inline end_waiters()
{
	if
	:: w[0].queued -> end_waiter(0, ENOTCONN)
	:: else
	fi;
	if
	:: w[1].queued -> end_waiter(1, ENOTCONN)
	:: else
	fi;
	if
	:: exists -> ipcfs_waitqueue_set_dirty()
	:: else
	fi
}

#ifndef NO_KICK_AGAIN
#define LOOKS_AGAIN kicked
#else
#define LOOKS_AGAIN false
#endif

/*
 * loop_main. While the wait room stops, the code also looks every 20 ms whether the threads have
 * ended. The model does not: they have to wake it.
 */
active proctype loop()
{
	byte done, k;
	bool at_once, stop, rest;

	do
	:: d_step { at_once = listed || LOOKS_AGAIN } /* loop_timeout */
	   atomic {
		at_once || wake || (due && w[1].queued && !w[1].end_reason);
		at_once = false;
		wake = false;
		stop = stopping
	   }
	   atomic {
#ifndef NO_KICK_AGAIN
		if /* check_now */
		:: kicked -> ipcfs_waitqueue_kick()
		:: else
		fi;
#endif
		if /* handle_interrupts */
		:: w[0].interrupted ->
			w[0].interrupted = false;
			if
			:: w[0].queued -> end_waiter(0, EINTR)
			:: else
			fi
		:: else
		fi;
		if /* end_timed */
		:: due && w[1].queued && !w[1].end_reason -> end_waiter(1, ETIMEDOUT)
		:: else
		fi;
		if
		:: stop -> end_waiters()
		:: else
		fi
	   }
	   finish_all();
	   atomic { /* serve_dirty, serve_waitqueue */
		rest = listed; listed = false;
		if
		:: rest ->
			assert(exists);
			dirty = false;
			if
#ifndef FREE_THREADED
			:: empty(head) && !threaded -> exists = false
			:: nempty(head) || threaded
#else
			:: empty(head) -> exists = false; assert(!threaded)
			:: nempty(head)
#endif
			fi
		:: else
		fi;
		rest = false
	   }
	   if
	   :: atomic { stopping && empty(head) && !threaded -> break } /* is_over */
	   :: atomic { !stopping || nempty(head) || threaded -> stop = false }
	   fi
	od;
	over = true
}

/* chmod(2) through the mount */
proctype changer()
{
	allowed = false;
#ifndef NO_RECHECK
	atomic { /* ipcfs_waits_recheck */
		if
		:: exists -> ipcfs_waitqueue_kick(); ipcfs_waitqueue_set_dirty(); wake = true
		:: else
		fi
	}
#endif
}

active proctype direct_sender()
{
	atomic {
		if
		:: queue!1; sent[1]++
		:: true
		fi
	}
	atomic {
		if
		:: queue!EMPTY; sent[EMPTY]++
		:: true
		fi
	}
}

proctype clock()
{
	due = true
}

#define is_in_queue(m) (queue??[eval(m)])

/* The promises. `timeout` is true when nothing else can go on. */
init
{
	byte i;

	atomic {
		run session(0); run session(1);
		if
		:: run interrupt()
		:: run clock()
		:: run changer()
		fi;
		if
		:: true
		:: goto stops /* the mount ends at any moment */
		fi
	}
	timeout; /* nothing was overlooked */
	d_step {
		assert(empty(head) || empty(queue)); /* no lost wake-up */
		assert(!(w[0].told && w[0].queued)); /* no lost INTERRUPT */
		assert(!(due && w[1].queued)); /* no lost deadline */
		assert(allowed || empty(head)); /* who may not receive any more does not wait */
		assert(exists || (empty(head) && !threaded));
		assert(!exists || nempty(head) || threaded) /* an idle waitqueue is freed */
	}
stops:	stopping = true;
	wake = true;
	timeout;
	d_step {
		assert(over && !threaded);
		i = 0;
		do
		:: i < READERS -> assert(w[i].answers == 1); i++
		:: else -> break
		od;
		i = 1;
		do
		:: i <= MESSAGES -> assert(given[i] + (is_in_queue(i) -> 1 : 0) == sent[i]); i++
		:: else -> break
		od
	}
}
