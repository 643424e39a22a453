/* SPDX-License-Identifier: MIT */
/*
 * Reads that wait for a POSIX queue: park, attempt, interrupt, kill, deadline, reply, put back, the
 * end of the namespace and of the mount. The loop thread serves. See README.md.
 *
 * Mutations. Each takes one line of the code away, and spin has to find what it breaks:
 * -DNO_ASK_KILLED      answer_read: does not ask whether the reader is being killed
 * -DNO_PUT_BACK        answer_read: forgets what it took for a reader that is being killed
 * -DNO_FUNC_FIRST      ipcfs_waits_park: sets the interrupt function after the waiter is queued
 * -DNO_FUNC_CLEARED    ipcfs_waiter_finish: leaves the interrupt function
 * -DNO_WITHDRAW        ipcfs_waiter_finish: leaves the waiter in the list of interrupted ones
 * -DNO_PARKING         handle_interrupts: forgets an INTERRUPT of a waiter that is being parked
 * -DNO_WAKE_PARKED     ipcfs_waits_park: does not wake the loop thread
 * -DNO_WAKE_NOTED      note_interrupt: does not wake the loop thread
 * -DNO_DIRTY           enqueue: relies on epoll, which waits for nothing yet
 * -DNO_ARM             serve_waitqueue: does not have epoll report once more
 * -DNO_STOPPING        enqueue: parks after the wait room has stopped
 * -DNO_TIMER_STOP      ipcfs_waiter_leave: leaves the timer
 * -DNO_BUSY            end_waiter: ends a wait whose attempt runs at this moment
 * -DNO_END_REASON      try_waiters: forgets that the wait is to end
 * -DNO_ENDED           enqueue: parks for an object whose namespace has ended
 * -DFREE_DIRTY         ipcfs_waitqueue_is_idle: frees a waitqueue that is to be served
 */

#define READERS 2
#define MESSAGES 2
#define CAPACITY 1

mtype = { OK, EAGAIN, EINTR, ETIMEDOUT, EIDRM, ENOTCONN };

#define RECEIVE 0
#define SEND 1

/* A request and, once it is parked, its waiter. */
typedef waiter {
	bool killed;	  /* the caller has a signal that ends it */
	bool interrupted_req; /* libfuse was told: fuse_req_interrupted */
	bool func;	  /* the interrupt function is set */
	bool req_lock;	  /* libfuse's lock of the request */
	bool parking;
	bool queued;	  /* wq is set */
	bool busy;
	bool timer;
	bool interrupted; /* in the list of interrupted waiters */
	bool freed;
	mtype end_reason;
	byte taken;	  /* the message that an attempt took; 0: none */
	byte answers;
};
waiter w[READERS];

/* The kernel's queue, and how each message ended. */
chan queue = [CAPACITY] of { byte };
byte sent[MESSAGES + 1], given[MESSAGES + 1], logged[MESSAGES + 1];

/* The wait room. What the code does with its lock held is atomic here. */
chan head[2] = [MESSAGES + READERS] of { byte }; /* RECEIVE: numbers of w; SEND: messages */
bool exists[2]; /* the waitqueue */
bool dirty[2], listed[2], armed[2];
bool wake, stopping, over;
bool ended; /* the namespace of the queue */
bool due; /* the deadline of the first reader has come */

inline ipcfs_waitqueue_set_dirty(d)
{
	if
	:: !dirty[d] -> dirty[d] = true; listed[d] = true
	:: else
	fi
}

/* Call in an atomic sequence. */
inline ipcfs_waiter_leave(i)
{
	head[RECEIVE]??eval(i);
	w[i].queued = false;
	w[i].busy = false;
#ifndef NO_TIMER_STOP
	w[i].timer = false;
#endif
	if
	:: empty(head[RECEIVE]) -> ipcfs_waitqueue_set_dirty(RECEIVE)
	:: nempty(head[RECEIVE])
	fi
}

/* libfuse calls it with the request's lock held. */
inline note_interrupt(i)
{
	d_step {
		assert(!w[i].freed);
		w[i].interrupted = true
	}
#ifndef NO_WAKE_NOTED
	wake = true
#endif
}

inline fuse_req_interrupt_func_set(i)
{
	atomic { /* the request's lock is held */
		!w[i].req_lock -> w[i].func = true;
		if
		:: w[i].interrupted_req -> note_interrupt(i)
		:: else
		fi
	}
}

inline fuse_req_interrupt_func_clear(i)
{
#ifndef NO_FUNC_CLEARED
	!w[i].req_lock -> w[i].func = false
#else
	skip
#endif
}

/* One call of mq_timedreceive(2), without waiting. */
inline ipcfs_transfer_receive(i, result)
{
	atomic {
		if
		:: nempty(queue) -> queue?m; w[i].taken = m; m = 0; result = OK
		:: empty(queue) -> result = EAGAIN
		fi
	}
}

/* One call of mq_timedsend(2), without waiting. */
inline ipcfs_transfer_send(message, result)
{
	atomic {
		if
		:: nfull(queue) -> queue!message; result = OK
		:: full(queue) -> result = EAGAIN
		fi
	}
}

/* Sends a message to the tail of its queue, by a detached waiter if the queue is full. */
inline ipcfs_transfer_send_detached(message, result)
{
	atomic {
		result = EAGAIN;
		if
		:: empty(head[SEND]) -> ipcfs_transfer_send(message, result)
		:: nempty(head[SEND])
		fi
	}
	if
	:: result == EAGAIN ->
		atomic { /* ipcfs_waits_park, enqueue */
			if
#ifndef NO_STOPPING
			:: stopping -> result = ENOTCONN
			:: !stopping ->
#else
			:: true ->
#endif
				exists[SEND] = true;
				head[SEND]!message;
				ipcfs_waitqueue_set_dirty(SEND);
				wake = true
			fi;
			if
			:: result == ENOTCONN -> logged[message]++ /* report_lost */
			:: else
			fi
		}
	:: else
	fi
}

/* `knew` is for the assertion: the daemon was told before it began to answer. */
inline answer_read(i, result)
{
	d_step {
		knew = w[i].interrupted_req && w[i].killed;
#ifndef NO_ASK_KILLED
		if
		:: knew -> result = EINTR
		:: else
		fi
#endif
	}
	if
	:: result == OK ->
		d_step {
			assert(!knew); /* the kernel drops this reply */
			given[w[i].taken]++;
			w[i].taken = 0;
			w[i].answers++;
			w[i].freed = true;
			w[i].end_reason = 0; w[i].killed = false; w[i].interrupted_req = false;
			knew = false
		}
	:: else ->
#ifndef NO_PUT_BACK
		if
		:: w[i].taken -> ipcfs_transfer_send_detached(w[i].taken, back)
		:: else
		fi;
#endif
		d_step {
			w[i].taken = 0;
			w[i].answers++;
			w[i].freed = true;
			w[i].end_reason = 0; w[i].killed = false; w[i].interrupted_req = false;
			knew = false; back = 0
		}
	fi
}

inline ipcfs_waiter_finish(i, result)
{
	atomic {
		fuse_req_interrupt_func_clear(i);
#ifndef NO_WITHDRAW
		w[i].interrupted = false; /* ipcfs_waiter_withdraw */
#endif
		skip
	}
	answer_read(i, result)
}

/* Call in an atomic sequence. */
inline end_waiter(i, reason)
{
	w[i].end_reason = reason;
	if
#ifndef NO_BUSY
	:: w[i].busy /* the thread that tries it ends it */
	:: else ->
#else
	:: true ->
#endif
		ipcfs_waiter_leave(i);
		done = done | (1 << i)
	fi
}

/* Answers those that end_waiter has ended. */
inline finish_all()
{
	if
	:: done & 1 -> result = w[0].end_reason; ipcfs_waiter_finish(0, result)
	:: else
	fi;
	if
	:: done & 2 -> result = w[1].end_reason; ipcfs_waiter_finish(1, result)
	:: else
	fi;
	atomic { done = 0; result = 0 }
}

/* ipcfs_channel_read, in a session thread. */
proctype session(byte i)
{
	mtype result = EAGAIN, back;
	bool knew;
	byte m;

	atomic {
		if
		:: empty(head[RECEIVE]) -> ipcfs_transfer_receive(i, result)
		:: nempty(head[RECEIVE])
		fi
	}
	if
	:: result == EAGAIN -> /* ipcfs_waits_park */
		w[i].parking = true;
#ifndef NO_FUNC_FIRST
		fuse_req_interrupt_func_set(i);
#endif
		atomic { /* enqueue */
			if
			:: stopping -> result = ENOTCONN
#ifndef NO_ENDED
			:: !stopping && ended -> result = EIDRM
			:: !stopping && !ended ->
#else
			:: !stopping ->
#endif
				exists[RECEIVE] = true;
				head[RECEIVE]!i;
				w[i].queued = true;
				w[i].timer = (i == 0);
				w[i].parking = false;
				result = OK;
#ifndef NO_DIRTY
				ipcfs_waitqueue_set_dirty(RECEIVE)
#endif
			fi
		}
#ifdef NO_FUNC_FIRST
		fuse_req_interrupt_func_set(i);
#endif
		if
		:: result == OK ->
#ifndef NO_WAKE_PARKED
			wake = true;
#endif
			goto parked
		:: else ->
			atomic {
				fuse_req_interrupt_func_clear(i);
				w[i].interrupted = false
			}
		fi
	:: else
	fi;
	answer_read(i, result);
parked:	skip
}

/* A signal for a reader: the kernel sends INTERRUPT, and another session thread reads it. */
proctype interrupt(byte i)
{
	if
	:: atomic { w[i].answers -> skip } /* libfuse does not know the request any more */
	:: atomic { !w[i].answers && !w[i].req_lock ->
			if
			:: w[i].killed = true
			:: true
			fi;
			w[i].interrupted_req = true;
			if
			:: w[i].func -> w[i].req_lock = true
			:: else -> goto noted
			fi }
		note_interrupt(i);
		w[i].req_lock = false
	fi;
noted:	skip
}

inline handle_interrupts()
{
	k = 0;
	do
	:: k < READERS ->
		if
#ifndef NO_PARKING
		:: w[k].interrupted && !w[k].parking ->
#else
		:: w[k].interrupted ->
#endif
			assert(!w[k].freed);
			w[k].interrupted = false;
			if
			:: w[k].queued -> end_waiter(k, EINTR)
			:: else
			fi
		:: else
		fi;
		k++
	:: else -> break
	od
}

inline end_timed()
{
	if
	:: due && w[0].timer ->
		assert(!w[0].freed);
		w[0].timer = false;
		end_waiter(0, ETIMEDOUT)
	:: else
	fi
}

inline end_waiters(reason)
{
	if
	:: w[0].queued -> end_waiter(0, reason)
	:: else
	fi;
	if
	:: w[1].queued -> end_waiter(1, reason)
	:: else
	fi;
	do
	:: nempty(head[SEND]) -> head[SEND]?m; logged[m]++; m = 0 /* answer_detached */
	:: empty(head[SEND]) -> break
	od;
	if
	:: exists[RECEIVE] -> ipcfs_waitqueue_set_dirty(RECEIVE)
	:: else
	fi;
	if
	:: exists[SEND] -> ipcfs_waitqueue_set_dirty(SEND)
	:: else
	fi
}

/* ipcfs_waits_space_ended, in the thread that sees namespaces end */
proctype space_ended()
{
	mtype result, back;
	byte done, m;
	bool knew;

	ended = true;
	atomic { end_waiters(EIDRM); wake = true }
	finish_all()
}

/* try_waiters, for each direction */
inline try_receivers()
{
	do
	:: empty(head[RECEIVE]) -> break
	:: atomic { nempty(head[RECEIVE]) ->
		head[RECEIVE]?<one>;
		w[one].busy = true;
		ipcfs_transfer_receive(one, result) }
		atomic {
			w[one].busy = false;
			if
#ifndef NO_END_REASON
			:: result == EAGAIN && w[one].end_reason -> result = w[one].end_reason
#endif
			:: else
			fi;
			if
			:: result != EAGAIN -> ipcfs_waiter_leave(one)
			:: else
			fi
		}
		if
		:: result == EAGAIN -> break
		:: else -> ipcfs_waiter_finish(one, result)
		fi
	od
}

inline try_senders()
{
	do
	:: empty(head[SEND]) -> break
	:: atomic { nempty(head[SEND]) ->
		head[SEND]?<m>;
		ipcfs_transfer_send(m, result);
		if
		:: result == OK -> head[SEND]?_
		:: else
		fi }
		if
		:: result == EAGAIN -> break
		:: else
		fi
	od;
	m = 0
}

#ifndef FREE_DIRTY
#define KEEPS(d) dirty[d]
#else
#define KEEPS(d) false
#endif

/* serve_waitqueue after its waiters were tried: frees it, or has epoll report once */
inline arm_or_free(d)
{
	atomic {
		wanted = false;
		if
		:: empty(head[d]) && !KEEPS(d) -> exists[d] = false; armed[d] = false
		:: empty(head[d]) && KEEPS(d)
		:: nempty(head[d]) -> wanted = true
		fi
	}
#ifndef NO_ARM
	if
	:: wanted -> armed[d] = true
	:: else
	fi
#endif
}

inline serve_dirty()
{
	d_step {
		rest[RECEIVE] = listed[RECEIVE]; rest[SEND] = listed[SEND];
		listed[RECEIVE] = false; listed[SEND] = false
	}
	if
	:: rest[RECEIVE] ->
		d_step { assert(exists[RECEIVE]); dirty[RECEIVE] = false; rest[RECEIVE] = false }
		try_receivers();
		arm_or_free(RECEIVE)
	:: else
	fi;
	if
	:: rest[SEND] ->
		d_step { assert(exists[SEND]); dirty[SEND] = false; rest[SEND] = false }
		try_senders();
		arm_or_free(SEND)
	:: else
	fi
}

/* loop_main */
active proctype loop()
{
	mtype result, back;
	byte done, k, one, m;
	bool at_once, timed, knew, wanted, stop;
	bool rest[2];

	do
	:: d_step { /* loop_timeout */
		at_once = listed[RECEIVE] || listed[SEND];
		timed = w[0].timer
	   }
	   d_step { /* epoll_wait */
		at_once || wake || (timed && due) || (armed[RECEIVE] && nempty(queue)) ||
			(armed[SEND] && nfull(queue));
		wake = false; at_once = false; timed = false;
		if
		:: armed[RECEIVE] && nempty(queue) ->
			armed[RECEIVE] = false;
			assert(exists[RECEIVE]);
			ipcfs_waitqueue_set_dirty(RECEIVE)
		:: !armed[RECEIVE] || empty(queue)
		fi;
		if
		:: armed[SEND] && nfull(queue) ->
			armed[SEND] = false;
			assert(exists[SEND]);
			ipcfs_waitqueue_set_dirty(SEND)
		:: !armed[SEND] || full(queue)
		fi;
		stop = stopping
	   }
	   atomic {
		handle_interrupts();
		end_timed();
		if
		:: stop -> end_waiters(ENOTCONN)
		:: else
		fi;
		k = 0
	   }
	   finish_all();
	   serve_dirty();
	   if
	   :: stopping && empty(head[RECEIVE]) && empty(head[SEND]) -> break /* is_over */
	   :: !stopping || nempty(head[RECEIVE]) || nempty(head[SEND])
	   fi;
	   atomic { result = 0; one = 0; m = 0; stop = false; wanted = false }
	od;
	over = true
}

/* Processes without ipcfs. */
active proctype direct_sender()
{
	byte m = 1;

	do
	:: m <= MESSAGES -> /* or fewer */
end:		atomic { nfull(queue) -> queue!m; sent[m]++; m++ }
	:: true -> break
	od
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
/* these mutations need the last one, and are found sooner without the others */
#if !defined(NO_BUSY) && !defined(NO_END_REASON) && !defined(NO_ENDED)
		:: run interrupt(0)
		:: run clock()
#endif
		:: run space_ended()
		fi;
		if
		:: true
		:: goto stops /* the mount ends at any moment */
		fi
	}
	timeout; /* nothing was overlooked */
	d_step {
		assert(empty(head[RECEIVE]) || empty(queue)); /* no lost wake-up of a reader */
		assert(empty(head[SEND]) || full(queue)); /* nor of a message that goes back */
		assert(empty(head[RECEIVE]) || !ended);
		i = 0;
		do
		:: i < READERS ->
			assert(!(w[i].interrupted_req && w[i].queued)); /* no lost INTERRUPT */
			assert(!(i == 0 && due && w[i].queued)); /* no lost deadline */
			i++
		:: else -> break
		od
	}
stops:	stopping = true;
	wake = true;
	timeout;
	d_step {
		assert(over);
		i = 0;
		do
		:: i < READERS -> assert(w[i].answers == 1); assert(w[i].taken == 0); i++
		:: else -> break
		od;
		i = 1;
		do
		:: i <= MESSAGES ->
			assert(given[i] + logged[i] + (is_in_queue(i) -> 1 : 0) == sent[i]);
			i++
		:: else -> break
		od
	}
}
