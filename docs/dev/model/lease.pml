/* SPDX-License-Identifier: MIT */
/*
 * Leases: a message that a worker has, its verdict, and what sends it back when the worker, the
 * daemon or the process ipcfs-leases is killed. See README.md.
 *
 * Mutations. Each takes one line of the code away, and spin has to find what it breaks:
 * -DKEEP_AFTER_REPLY   attempt_lease: replies before the message is kept
 * -DMARK_FIRST         ipcfs_message_keep: the entry counts before the message is written
 * -DFORGET_AFTER_REPLY judge: replies to `done` before the message is forgotten
 * -DFORGET_FIRST       answer_detached: forgets before the message is sent
 * -DNO_FORGET          answer_detached: does not forget
 * -DNO_DETACH          end: leaves the lease with the open file
 * -DNO_INODE_LOCK      the kernel sends two writes of one open file at once
 * -DNO_RELEASE         ipcfs_lease_release: does nothing at the last close
 * -DRELEASE_EARLY      ipcfs_lease_release: at each close, and not at the last one
 * -DNO_PARK            ipcfs_transfer_send_detached: drops the message if the queue is full
 * -DCLOSE_LEFT         ipcfs_message_keeper_leave: the handle of a kept message is closed
 * -DNO_CHECK           ipcfs_leases_check: does not replace a process that was killed
 */

#define MESSAGES 2
#define FILES 2
#define CAPACITY 1

chan queue = [CAPACITY] of { byte };
chan detached = [MESSAGES] of { byte, byte }; /* waiters: a message and its number of `keep` */

bool daemon = true; /* it lives */
bool sender = true; /* the process ipcfs-leases lives */

/*
 * The file in memory that both have. The number of a message is that of the open file that leased
 * it, and 1. `mark`: the entry is written. `text`: the message.
 */
bool mark[FILES + 1];
byte text[FILES + 1];

/* The open files. */
byte lease[FILES];    /* the message that the file has; 0: none */
bool writes[FILES];   /* the kernel's lock of the inode */
byte processes[FILES]; /* that have it open */
byte users = FILES;   /* of the queue's handle: open files and waiters */

/* For the assertions. */
byte sent[MESSAGES + 1], taken[MESSAGES + 1];
bool done[MESSAGES + 1];      /* by a verdict */
bool told_done[MESSAGES + 1]; /* the worker was told */
bool taking[MESSAGES + 1];    /* received, and not yet kept */
byte sending[MESSAGES + 1];   /* how often it was sent back, and not yet forgotten */
bool left[MESSAGES + 1];      /* not sent for want of memory: kept until the daemon ends */
bool collecting;	      /* the workers have ended */

/* A step of the daemon; one that was killed does none. */
#define DAEMON(step) if :: atomic { daemon -> step } :: atomic { !daemon -> goto killed } fi

#define ipcfs_message_forget(number) mark[number] = false

inline ipcfs_message_keep(number, m)
{
#ifndef MARK_FIRST
	/* ipcfs_message_store_write, ipcfs_message_store_mark; what is not marked nobody reads */
	DAEMON(text[number] = m; mark[number] = true)
#else
	DAEMON(mark[number] = true);
	DAEMON(text[number] = m)
#endif
}

/* Sends message m to the tail of its queue, by a waiter if the queue is full. */
inline ipcfs_transfer_send_detached(number)
{
#ifdef FORGET_FIRST
	DAEMON(ipcfs_message_forget(number));
#endif
	if
	:: atomic { daemon && empty(detached) && nfull(queue) -> queue!m; sending[m]++ }
	:: atomic { daemon && (nempty(detached) || full(queue)) ->
#ifndef NO_PARK
		detached!m, number;
#endif
		users++;
		m = 0 }
	:: atomic { daemon && full(queue) && !left[1] && !left[2] -> /* ipcfs_waits_park: -ENOMEM */
#ifndef CLOSE_LEFT
		users++; /* ipcfs_message_keeper_leave: stays open */
#endif
		left[m] = true;
		m = 0 }
	:: atomic { !daemon -> goto killed }
	fi;
	if /* answer_detached */
#ifndef NO_FORGET
	:: atomic { m != 0 && daemon -> ipcfs_message_forget(number); sending[m]--; m = 0 }
#else
	:: atomic { m != 0 && daemon -> sending[m]--; m = 0 }
#endif
	:: atomic { m == 0 -> skip }
	:: atomic { m != 0 && !daemon -> goto killed }
	fi
}

/* Closes one use of the handle. A message that is kept needs it. Call in an atomic sequence. */
inline ipcfs_object_close()
{
	users--;
	assert(users > 0 || (!mark[1] && !mark[2]))
}

/* Takes the lease out of the file. Call in an atomic sequence. */
inline detach(f)
{
	m = lease[f];
#ifndef NO_DETACH
	lease[f] = 0
#endif
}

inline ipcfs_lease_release(f)
{
	DAEMON(detach(f));
	if
	:: m != 0 -> ipcfs_transfer_send_detached(f + 1)
	:: else
	fi
}

/* read(2): the session thread, or later the waitqueue's. With nothing to read the caller waits. */
inline read_lease(f)
{
	skip;
end:	if
	:: atomic { daemon && nempty(queue) -> queue?m; taking[m] = true }
	:: atomic { !daemon -> goto killed }
	:: atomic { collecting -> goto closes }
	fi;
#ifndef KEEP_AFTER_REPLY
	ipcfs_message_keep(f + 1, m);
#endif
	DAEMON(lease[f] = m; taking[m] = false); /* answer_lease, attach */
#ifdef KEEP_AFTER_REPLY
	ipcfs_message_keep(f + 1, m);
#endif
	m = 0
}

/* write(2): judge */
inline write_verdict(f)
{
#ifndef NO_INODE_LOCK
	if
	:: atomic { daemon && !writes[f] -> writes[f] = true }
	:: atomic { !daemon -> goto killed }
	fi;
#endif
	if
	:: atomic { daemon && lease[f] == 0 -> skip } /* has_lease: EPERM */
	:: daemon && lease[f] != 0 -> ipcfs_lease_release(f) /* again */
	:: daemon && lease[f] != 0 -> /* done: end */
		DAEMON(detach(f); assert(m != 0));
#ifdef FORGET_AFTER_REPLY
		told_done[m] = true;
#endif
		DAEMON(ipcfs_message_forget(f + 1); done[m] = true);
		DAEMON(told_done[m] = true; m = 0)
	:: atomic { !daemon -> goto killed }
	fi;
	writes[f] = false
}

/* close(2), or the end of the process. The kernel sends RELEASE at the last one. */
inline close_file(f)
{
#ifndef RELEASE_EARLY
	atomic { processes[f]--; last = (processes[f] == 0) };
#else
	atomic { processes[f]--; last = (processes[f] != 0) };
#endif
#ifndef NO_RELEASE
	if
	:: last -> ipcfs_lease_release(f)
	:: else
	fi;
#endif
	if
	:: atomic { daemon && last -> ipcfs_object_close() }
	:: else
	fi
}

proctype worker(byte f)
{
	byte m;
	bool last;

	read_lease(f);
	if
	:: true -> write_verdict(f)
	:: true /* it was killed */
	fi;
closes:	close_file(f);
killed:	m = 0
}

/* A child of the first worker, which has inherited the open file. */
proctype child()
{
	byte m;
	bool last;

	if
	:: true -> write_verdict(0)
	:: true
	fi;
	close_file(0);
killed:	m = 0
}

/* The loop thread serves the detached waiters. */
active proctype loop()
{
	byte m, number;

end:	do
	:: atomic { daemon && nempty(detached) && nfull(queue) ->
		detached?m, number; queue!m; sending[m]++ }
		DAEMON(ipcfs_message_forget(number); ipcfs_object_close(); sending[m]--; m = 0; number = 0)
	:: atomic { !daemon -> goto killed }
	od;
killed:	m = 0
}

/* ipcfs_message_sender_run. Another one in its place finds the same file. */
active proctype ipcfs_leases()
{
	byte m, number = 1;

end:	!daemon;
end2:	do /* send_kept */
	:: number <= FILES && mark[number] ->
		assert(text[number] != 0);
		atomic { nfull(queue) -> m = text[number]; queue!m; mark[number] = false; m = 0 }
	:: number <= FILES && !mark[number] -> number++
	:: number > FILES -> break
	od
}

/*
 * Kills ipcfs-leases, and the daemon. A daemon that is killed while there is no ipcfs-leases loses
 * what is kept, so here it is not.
 */
proctype killer()
{
	atomic {
		if
		:: sender = false
		:: true
		fi;
#ifndef NO_CHECK
		sender = true /* ipcfs_leases_check, in the main thread at SIGCHLD */
#endif
	}
	if
	:: atomic { sender -> daemon = false }
	:: true
	fi
}

/* Other processes send, and receive when the workers have ended. */
active proctype direct()
{
	byte m = 1;

	do
	:: atomic { m <= MESSAGES && nfull(queue) -> queue!m; sent[m]++; m++ }
	:: true -> break
	od;
	m = 0;
	collecting;
end:	do
	:: atomic { queue?m -> taken[m]++; m = 0 }
	od
}

#define LEFT(m) (taken[m] + (queue??[eval(m)] -> 1 : 0))

/* The promises, when all has come to rest. */
init
{
	byte m = 1;

	atomic {
		processes[0] = 2; processes[1] = 1;
		run worker(0); run worker(1); run child(); run killer()
	}
	timeout;
	d_step { assert(!daemon || sender) } /* what is kept is not without the process */
	collecting = true;
	timeout;
	d_step {
		assert(!daemon || empty(detached)); /* a queue with room gets its messages */
		/* nothing is kept for nobody */
		assert(!daemon || ((mark[1] || mark[2]) == (left[1] || left[2])));
		do
		:: m <= MESSAGES ->
			/* what a worker was told to be done is not seen again */
			assert(!told_done[m] || (done[m] && LEFT(m) <= sending[m]));
			assert(!daemon || LEFT(m) + done[m] + left[m] == sent[m]);
			/* the stated windows of a daemon that is killed */
			assert(daemon || LEFT(m) + done[m] + taking[m] >= sent[m]);
			assert(LEFT(m) + done[m] <= sent[m] + sending[m]);
			m++
		:: m > MESSAGES -> break
		od
	}
}
