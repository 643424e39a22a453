/* SPDX-License-Identifier: MIT */
/*
 * Monitors: callers that enter, wait, are notified, interrupted, timed out or killed. See README.md.
 *
 * Consumers do { enter; until ready: wait; take; leave }, producers { enter; make ready; notify;
 * leave }. So a notification that is lost shows as a consumer that sleeps beside what it waits for.
 *
 * Mutations. Each takes one line of the code away, and spin has to find what it breaks:
 * -DNO_PARK_FIRST      park: gives the hold back before the sleeper is parked
 * -DNO_PASS_ON         answer_entry: keeps the notification of a waiter that does not get inside
 * -DNO_LEAVE           answer_entry: leaves an interrupted waiter inside
 * -DNO_ROUSE_ALL       semaphore_release: a killed holder rouses nobody
 * -DNO_GIVE_BACK       semaphore_release: a killed holder keeps the semaphore
 * -DNO_PREDECESSORS    ipcfs_operation_run: newcomers overtake those who wait
 * -DNO_TIMER_STOP      ipcfs_waiter_rouse: the deadline of the sleep goes on
 * -DNO_INSIDE          act: notifies without being inside
 * -DNO_DETACH          wait_for: leaves the hold with the open file, too
 */

#define CONSUMERS 2
#define CALLERS 4 /* consumers, then producers */

mtype = { NONE, OK, EAGAIN, EINTR, ETIMEDOUT, EPERM };

/* An open file, its caller and its request. */
typedef caller {
	bool hold;	  /* file->semaphore.hold */
	bool signal;	  /* a signal is pending that ends the wait; fuse_req_interrupted */
	bool killed;
	bool interrupted; /* in the list of interrupted waiters */
	bool asleep;
	bool waits;	  /* the verb is `wait` */
	bool queued;
	bool busy;
	bool timer;
	mtype roused_by, end_reason, reply;
};
caller c[CALLERS];

byte value = 1; /* of the semaphore */
byte ready;	/* what consumers wait for */
byte inside;	/* for the assertion: callers that were told that they are inside */

/* The waitqueue. What the code does with the wait room's lock held is atomic here. */
chan head = [CALLERS] of { byte };
chan sleepers = [CALLERS] of { byte };
bool kicked, due;

/* Call in an atomic sequence, as the next ones. */
inline ipcfs_waiter_rouse(i, reason)
{
	sleepers??eval(i);
	head!i;
	c[i].asleep = false;
	c[i].roused_by = reason;
#ifndef NO_TIMER_STOP
	c[i].timer = false
#endif
}

inline ipcfs_waiter_leave(i)
{
	if
	:: c[i].asleep -> sleepers??eval(i)
	:: else -> head??eval(i)
	fi;
	c[i].queued = false;
	c[i].busy = false;
	c[i].timer = false
}

/* ipcfs_waits_rouse */
inline notify()
{
	atomic {
		if
		:: nempty(sleepers) -> sleepers?<one>; ipcfs_waiter_rouse(one, NONE)
		:: empty(sleepers) /* it is dropped */
		fi;
		one = 0
	}
}

inline ipcfs_monitor_rouse_all()
{
	atomic {
		do
		:: nempty(sleepers) -> sleepers?<one>; ipcfs_waiter_rouse(one, NONE)
		:: empty(sleepers) -> break
		od;
		one = 0
	}
}

inline ipcfs_hold_give_back(i)
{
	atomic { c[i].hold = false; value++ }
}

/* With the result OK the semaphore was taken. */
inline answer_entry(i, result)
{
	notified = c[i].waits && !c[i].asleep && c[i].roused_by == NONE;
	if
	:: result == OK -> c[i].hold = true /* ipcfs_hold_taken */
	:: else
	fi;
	if
	:: result == OK && c[i].signal -> /* ipcfs_operation_is_interrupted */
#ifndef NO_LEAVE
		ipcfs_hold_give_back(i);
#endif
		result = EINTR
	:: else
	fi;
#ifndef NO_PASS_ON
	if
	:: result != OK && notified -> notify()
	:: else
	fi;
#endif
	d_step {
		if
		:: result != OK || c[i].roused_by == NONE -> c[i].reply = result
		:: else -> c[i].reply = c[i].roused_by
		fi;
		/* what the reply says is so */
		assert(c[i].reply != OK || c[i].hold);
		assert(c[i].reply != ETIMEDOUT || c[i].hold);
		assert(c[i].reply != EINTR || !c[i].hold);
		if
		:: c[i].hold -> inside++
		:: else
		fi;
		assert(inside <= 1);
		notified = false
	}
}

#ifndef NO_PREDECESSORS
#define HAS_PREDECESSORS (len(head) > 0)
#else
#define HAS_PREDECESSORS false
#endif

/* ipcfs_operation_run for `enter`, then the caller waits for the reply */
inline enter(i)
{
	d_step { c[i].reply = NONE; c[i].waits = false; c[i].roused_by = NONE; c[i].end_reason = NONE }
	atomic {
		if
		:: HAS_PREDECESSORS || value == 0 -> result = EAGAIN
		:: !HAS_PREDECESSORS && value > 0 ->
			assert(empty(head)); /* first come, first served */
			value--;
			result = OK
		fi
	}
	if
	:: result == EAGAIN -> /* ipcfs_waits_park */
		atomic {
			c[i].queued = true;
			head!i;
			if
			:: c[i].signal -> c[i].interrupted = true
			:: else
			fi
		}
	:: else -> answer_entry(i, result)
	fi;
	atomic { c[i].reply != NONE -> result = c[i].reply }
}

/* The verb `wait`, then the caller waits for the reply. */
inline wait_for(i)
{
	d_step { c[i].reply = NONE; c[i].waits = true; c[i].roused_by = NONE; c[i].end_reason = NONE }
	atomic { /* ipcfs_hold_detach */
		inside--;
#ifndef NO_DETACH
		c[i].hold = false
#endif
	}
#ifdef NO_PARK_FIRST
	value++;
#endif
	atomic { /* park */
		c[i].asleep = true;
		c[i].queued = true;
		c[i].timer = (i == 0);
		sleepers!i;
		if
		:: c[i].signal -> c[i].interrupted = true
		:: else
		fi
	}
#ifndef NO_PARK_FIRST
	value++; /* ipcfs_hold_give_back */
#endif
end:	atomic { c[i].reply != NONE -> result = c[i].reply; c[i].asleep = false }
}

/* The verb `leave`. */
inline leave(i)
{
	atomic { inside--; c[i].hold = false; value++ }
}

/* The last close. FLUSH tells that its process was killed. */
inline release(i)
{
	dead = c[i].killed && c[i].hold;
	if
	:: c[i].hold ->
#ifndef NO_GIVE_BACK
		atomic { inside--; c[i].hold = false; value++ }
#else
		atomic { inside--; c[i].hold = false }
#endif
	:: else
	fi;
#ifndef NO_ROUSE_ALL
	if
	:: dead -> ipcfs_monitor_rouse_all()
	:: else
	fi;
#endif
	dead = false
}

proctype consumer(byte i)
{
	mtype result;
	byte one;
	bool notified, dead;

	enter(i);
	do
	:: c[i].killed -> break
	:: !c[i].killed && result == EINTR -> break /* is outside, and gives up */
	:: !c[i].killed && result != EINTR && ready > 0 -> ready--; break
	:: !c[i].killed && result == ETIMEDOUT && ready == 0 -> break
	:: !c[i].killed && result == OK && ready == 0 -> wait_for(i)
	od;
	release(i)
}

proctype producer(byte i)
{
	mtype result;
	byte one;
	bool notified, dead;

#ifdef NO_INSIDE
	ready++;
	notify();
#else
	enter(i);
	ready++;
	notify();
	leave(i)
#endif
}

/* A signal for the first consumer, caught or fatal, at any time. */
proctype interrupt()
{
	atomic {
		if
		:: c[0].killed = true
		:: true
		fi;
		c[0].signal = true;
		if
		:: c[0].queued -> c[0].interrupted = true /* note_interrupt */
		:: else
		fi
	}
}

proctype clock()
{
	due = true
}

/* Call in an atomic sequence. Says in `result` whether the waiter left. */
inline end_waiter(i, reason)
{
	c[i].end_reason = reason;
	if
	:: c[i].busy -> kicked = true
	:: else -> ipcfs_waiter_leave(i); result = reason
	fi
}

/* loop_main: handle_interrupts and end_timed */
active proctype loop()
{
	mtype result;
	byte one;
	bool notified;

end:	do
	:: atomic { c[0].interrupted ->
		c[0].interrupted = false;
		if
		:: c[0].queued -> end_waiter(0, EINTR)
		:: else
		fi }
		if
		:: result == EINTR -> answer_entry(0, result)
		:: else
		fi;
		result = NONE
	:: atomic { due && c[0].timer ->
		c[0].timer = false;
		if
		:: c[0].end_reason != NONE
		:: c[0].end_reason == NONE && c[0].asleep -> ipcfs_waiter_rouse(0, ETIMEDOUT)
		:: c[0].end_reason == NONE && !c[0].asleep -> end_waiter(0, ETIMEDOUT)
		fi }
		if
		:: result == ETIMEDOUT -> answer_entry(0, result)
		:: else
		fi;
		result = NONE
	od
}

/* waitqueue_main, which sits in semop(2) or sem_timedwait(3) */
active proctype waitqueue_thread()
{
	mtype result;
	byte i, one;
	bool notified;

end:	do
	:: atomic { nempty(head) -> head?<i>; c[i].busy = true }
		if /* ipcfs_operation_attempt */
		:: atomic { value > 0 -> value--; result = OK }
		:: atomic { kicked -> result = EINTR }
		fi;
		atomic {
			kicked = false;
			c[i].busy = false;
			if
			:: result == EINTR && c[i].end_reason == NONE -> result = EAGAIN
			:: result == EINTR && c[i].end_reason != NONE ->
				result = c[i].end_reason;
				ipcfs_waiter_leave(i)
			:: else -> ipcfs_waiter_leave(i)
			fi
		}
		if
		:: result != EAGAIN -> answer_entry(i, result)
		:: else
		fi;
		atomic { result = NONE; i = 0 }
	od
}

/* The promises. `timeout` is true when nothing else can go on. */
init
{
	byte i;

	atomic {
		run consumer(0); run consumer(1); run producer(2);
		if
		:: run producer(3)
		:: true
		fi;
		if
		:: run interrupt()
		:: run clock()
		:: true
		fi
	}
	timeout;
	d_step {
		assert(value == 1 && inside == 0); /* all are out */
		assert(empty(head));
		assert(empty(sleepers) || ready == 0); /* no lost notification */
		assert(!(c[0].signal && c[0].queued)); /* no lost INTERRUPT */
		assert(!(due && c[0].queued)); /* no lost deadline */
		i = 0;
		do
		:: i < CALLERS -> assert(!c[i].hold); i++
		:: else -> break
		od
	}
end:	false
}
