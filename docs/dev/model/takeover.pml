/* SPDX-License-Identifier: MIT */
/*
 * Requests whose worker is killed, with -o supervise: what the next worker finds in the memory that
 * workers share, and does again. See README.md.
 *
 * Mutations. Each takes one line of the code away, and spin has to find what it breaks:
 * -DSLOT_FIRST     ipcfs_unanswered_park: empties the slot before there is an entry
 * -DEMPTY_FIRST    ipcfs_unanswered_end: empties the slot before the answer
 * -DNO_NOTE        send_new: does not note the call
 * -DNOTE_WAIT      send_new: notes a call that waits, too, as one that has its effect
 * -DNO_SKIP        ipcfs_effects_call: does not know the calls that were counted
 * -DNO_HAND        receive_again: does not look whether the kernel has written a message
 * -DNO_LOOK        send_new: takes a queue for one with plenty of room
 * -DNO_LOST        answer_rest: does not note that it begins
 * -DFILE_FIRST     ipcfs_file_done: writes the file before what was answered
 * -DPUT_BACK       answer_read: takes a refused answer for a reader that is gone
 */

#define DEATHS 2
#define CAPACITY 2
#define CHUNKS 2
#define SPARE 1 /* other messages for which there must be room, for one that is noted as sure */

/*
 * The requests: a send and a receive, or two reads of an open file's rest. Another program has the
 * queue, too, without the mount.
 */
#define SEND 0
#define RECEIVE 1
#define REST 2
#define REST_TOO 3
#define REQUESTS 4
#define MESSAGE 1 /* that SEND sends */
#define PEER 2 /* that the other program sends */

mtype = { nothing, unsure, sure, okay, eio };

chan queue = [CAPACITY] of { byte };

byte worker = 1; /* which one lives */
byte deaths;

/* What the kernel knows of a request. */
bool unread[REQUESTS];
bool waits[REQUESTS]; /* for the answer */
mtype answer[REQUESTS];
byte answers[REQUESTS];

/* What workers share: slots, the ledger, effects. */
bool slot[REQUESTS], entry[REQUESTS];
byte calls[REQUESTS];
mtype noted[REQUESTS]; /* of the call that is made now */
byte hand;	       /* the message that the kernel wrote for RECEIVE; 0: none */
bool lost[REQUESTS];
byte tries[REQUESTS]; /* workers that began with it again, and have not come to its end */

/* The entry of the open file: one store replaces it. */
byte at;		   /* the chunk that comes next */
bool locked;		   /* the file's lock, in the worker's own memory */
byte done;		   /* the request that was answered last, and 1 */
byte done_chunk;	   /* what it got */

/* For the assertions. */
byte sent[3], received[3]; /* how often, by message */
bool between;		   /* noted, and not sent: a death here loses the message */
bool gap;		   /* a worker died there */
bool unnoted;		   /* a call that waited has sent, and is not counted */
bool twice;		   /* a worker died there */
byte got[CHUNKS];	   /* how often a reader got it */
bool replaced;		   /* what a read got was no longer noted when it was handled again */

/* A step of the worker that began with the request; a dead one does none. */
#define WORKER(step) if :: atomic { worker == mine -> step } :: atomic { worker != mine -> goto killed } fi

/* The kernel takes one answer, and refuses others. Call in an atomic sequence. */
inline take_answer(r, result)
{
	accepted = waits[r];
	if
	:: waits[r] -> waits[r] = false; answers[r]++; answer[r] = result
	:: else
	fi
}

/* ipcfs_unanswered_end, ipcfs_unanswered_answered */
inline forget(r)
{
	WORKER(slot[r] = false; entry[r] = false)
}

inline reply(r, result)
{
#ifdef EMPTY_FIRST
	forget(r);
#endif
	WORKER(take_answer(r, result));
	forget(r)
}

/* keep, keep_slots: an entry is there before the slot is empty. */
inline ipcfs_unanswered_park(r)
{
#ifdef SLOT_FIRST
	WORKER(slot[r] = false);
#endif
	if
	:: !entry[r] -> WORKER(entry[r] = true)
	:: else
	fi;
	WORKER(slot[r] = false)
}

/* A worker reads a request, or finds what the one before has left. */
inline begin(r)
{
	atomic { mine = worker; skip_calls = calls[r] }
	if
	:: atomic { unread[r] && worker == mine -> unread[r] = false; slot[r] = true }
	:: atomic { !unread[r] && slot[r] && worker == mine -> left = true }
	:: atomic { !unread[r] && !slot[r] && entry[r] && worker == mine -> left = true }
	:: atomic { !unread[r] && !slot[r] && !entry[r] -> goto over }
	:: atomic { worker != mine -> goto killed }
	fi;
	if
	:: left && slot[r] -> ipcfs_unanswered_park(r) /* keep_slots */
	:: else
	fi;
	if /* replay */
	:: left && tries[r] -> goto failure
	:: left && !tries[r] -> WORKER(tries[r]++)
	:: else
	fi
}

/* end_try: it was handled, and waits. */
inline end_try(r)
{
	if
	:: left -> WORKER(tries[r] = 0); left = false
	:: else
	fi
}

/* Makes the call that does not wait. has: whether it had its effect. Call in an atomic sequence. */
inline send_now(r, m)
{
	has = nfull(queue);
	between = !has && between;
	if
	:: has -> queue!m; sent[m]++
	:: else
	fi
}

proctype sender(byte r; byte m)
{
	byte mine, skip_calls, room = SPARE + 1;
	bool has, left, accepted, enough; /* enough: for assertions */

again:	begin(r);
	if /* ipcfs_effects_call, send_noted */
#ifndef NO_SKIP
	:: skip_calls > 0 -> goto success
#endif
	:: skip_calls == 0 && noted[r] == sure -> WORKER(noted[r] = nothing; calls[r]++); goto success
	:: skip_calls == 0 && noted[r] == unsure -> WORKER(noted[r] = nothing); goto failure
	:: else
	fi;
#ifndef NO_LOOK
	WORKER(room = CAPACITY - len(queue); enough = room > SPARE); /* look_for_room */
	if
	:: room == 0 -> goto wait
	:: else
	fi;
#endif
#ifndef NO_NOTE
	WORKER(noted[r] = (room > SPARE -> sure : unsure); between = enough); /* ipcfs_effects_calling */
#endif
	WORKER(send_now(r, m));
	WORKER(noted[r] = nothing; calls[r] = calls[r] + has; between = false); /* ipcfs_effects_called */
	if
	:: has -> goto success
	:: else
	fi;
wait:	ipcfs_unanswered_park(r);
	end_try(r);
#ifdef NOTE_WAIT
	WORKER(noted[r] = sure);
#endif
	if /* the call that waits */
	:: atomic { worker == mine && nfull(queue) -> queue!m; sent[m]++; unnoted = true }
	:: atomic { worker != mine -> goto killed }
	fi;
	WORKER(noted[r] = nothing; calls[r]++; unnoted = false);
success:
	reply(r, okay);
	goto over;
failure:
	reply(r, eio);
	goto over;
killed:	left = false;
	goto again;
over:	skip
}

proctype receiver(byte r)
{
	byte mine, skip_calls, m;
	bool left, accepted;

again:	begin(r);
attempt:
	if /* receive_noted */
	:: skip_calls > 0 -> m = hand; goto success
#ifndef NO_HAND
	:: skip_calls == 0 && noted[r] == unsure && hand -> /* receive_again: the kernel has written */
		m = hand;
		WORKER(noted[r] = nothing; calls[r]++);
		goto success
#endif
	:: else
	fi;
	WORKER(hand = 0); /* receive_into */
	WORKER(noted[r] = unsure);
	WORKER(
		if
		:: queue?hand
		:: empty(queue)
		fi;
		m = hand);
	WORKER(noted[r] = nothing; calls[r] = calls[r] + (m != 0));
	if
	:: m -> goto success
	:: else
	fi;
	ipcfs_unanswered_park(r);
	end_try(r);
end:	if /* epoll tells, or the waitqueue's thread */
	:: atomic { worker == mine && nempty(queue) -> goto attempt }
	:: atomic { worker != mine -> goto killed }
	fi;
success:
	WORKER(take_answer(r, okay); received[m] = received[m] + accepted);
#ifdef PUT_BACK
	if
	:: !accepted -> queue!m
	:: else
	fi;
#endif
	forget(r);
	goto over;
failure:
	reply(r, eio);
	goto over;
killed:	left = false;
	m = 0;
	goto again;
over:	skip
}

/* Writes the file, with what its last read got, by one store. Call in an atomic sequence. */
inline ipcfs_file_done(r)
{
	chunk = at;
	at++;
	replaced = replaced || (done && waits[done - 1]);
	done = r + 1;
	done_chunk = chunk
}

/* A read of what is left of a message. */
proctype rest(byte r)
{
	byte mine, skip_calls, chunk;
	bool left, accepted;

again:	begin(r);
	if /* ipcfs_file_was_done */
	:: atomic { done == r + 1 -> chunk = done_chunk; goto success }
	:: done != r + 1 && left && lost[r] -> goto failure
	:: else
	fi;
	/* answer_rest; the file's lock is held, so that its steps are as one for other reads */
	if
	:: atomic { !locked && worker == mine -> locked = true }
	:: atomic { worker != mine -> goto killed }
	fi;
#ifndef NO_LOST
	WORKER(lost[r] = true);
#endif
#ifndef FILE_FIRST
	WORKER(ipcfs_file_done(r); locked = false);
#else
	WORKER(at++);
	WORKER(at--; ipcfs_file_done(r); locked = false);
#endif
success:
	if
	:: chunk < CHUNKS ->
		WORKER(take_answer(r, okay); got[chunk] = got[chunk] + accepted)
	:: else -> WORKER(take_answer(r, okay)) /* the end of the file */
	fi;
	forget(r);
	goto over;
failure:
	reply(r, eio);
	goto over;
killed:	left = false;
	goto again;
over:	skip
}

/* Kills workers. The supervisor has the next one at once. */
active proctype supervisor()
{
	do
	:: atomic { deaths < DEATHS ->
		deaths++;
		worker++;
		locked = false;
		gap = gap || between;
		between = false;
		twice = twice || unnoted;
		unnoted = false }
	:: break
	od
}

/* A program with the queue open, which sends a message and receives what is there. */
proctype peer()
{
	byte m;

end:	do
	:: atomic { nfull(queue) && sent[PEER] < CAPACITY -> queue!PEER; sent[PEER]++ }
	:: atomic { queue?m -> received[m]++ }
	od
}

/* The kernel sends a request. */
inline send(r)
{
	unread[r] = true;
	waits[r] = true
}

init
{
	byte r, m;

	atomic {
		for (r : 0 .. REQUESTS - 1) {
			noted[r] = nothing
		}
		if
		:: send(SEND); run sender(SEND, MESSAGE);
		   send(RECEIVE); run receiver(RECEIVE);
		   run peer()
		:: send(REST); run rest(REST);
		   send(REST_TOO); run rest(REST_TOO)
		fi
	}
	timeout;
	d_step {
		for (r : 0 .. REQUESTS - 1) {
			/* one answer; the receive waits if the other program got all */
			assert(answers[r] <= 1 && (!waits[r] || r == RECEIVE));
			assert(answer[r] != eio || deaths > 0)
		}
		assert(sent[MESSAGE] <= 1 || twice);
		assert(answer[SEND] != okay || sent[MESSAGE] >= 1 || gap);
		for (m : MESSAGE .. PEER) {
			/* a message in the hand of a request of which two workers died is lost */
			assert(received[m] == sent[m] ||
			       (m == hand && received[m] < sent[m] && answer[RECEIVE] == eio))
		}
		for (r : 0 .. CHUNKS - 1) {
			assert(got[r] == (r < at) || (got[r] == 0 && replaced) ||
			       (got[r] == 0 && tries[REST] + tries[REST_TOO]))
		}
	}
}
