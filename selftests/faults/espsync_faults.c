// SPDX-License-Identifier: GPL-2.0
/*
 * espsync_faults.c - holds a thread of espsync.ko up at a named point, tells who waits for that, and may refuse it memory.
 *
 * Job: the points are the module's tracepoints. One at a time is armed through /sys/kernel/debug/espsync_faults; write
 *
 *	POINT VALUE|any NETNS|0 NTH DELAY_US FAIL
 *
 * and the NTH time that tracepoint espsync_POINT is passed with VALUE (what turned; see trace.h) in that network namespace (its inode number)
 * readers of the file wake up, the one who passed stays where it is for DELAY_US (more than 5 ms asleep, where that is allowed), so that what a
 * reader does falls into that moment, and
 * the FAILth allocation that it asks for next gets no memory (0: all do). A read waits for that, or with O_NONBLOCK says how
 * often the point has been passed; "off" ends it and says what came of FAIL in the next read.
 * What may not enter: what is done at a point, and why. faults.py knows.
 *
 * Context: probes run wherever a tracepoint is, also with x->lock held and BH off. arm_lock (mutex) guards the writing of what is armed.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/task.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "trace.h"

#define MAX_BUSY_US	5000
#define MAX_DELAY_US	20000000

enum point { SAMPLE, SEND, RECEIVE, MERGE, PROMOTE, REFUSE, PEER, LEASE, ROLE, N_POINTS };

static const char * const names[] = { "sample", "send", "receive", "merge", "promote", "refuse", "peer", "lease", "role" };

static struct {
	enum point point;
	bool any;
	int value;
	u32 netns;
	unsigned int nth;
	unsigned int delay_us;
	unsigned int fail;
} plan;				/* written while nothing is armed */
static bool armed;
static bool hit;
static bool was_hit;		/* until it was disarmed */
static bool refused;
static atomic_t passed;
static struct task_struct *victim;	/* whose next allocations are counted, with a reference */
static DEFINE_MUTEX(arm_lock);
static DECLARE_WAIT_QUEUE_HEAD(readers);

static void stay(unsigned int us)
{
	u64 until = ktime_get_ns() + min(us, MAX_BUSY_US) * 1000ull;

	if (us > MAX_BUSY_US && preemptible()) {
		msleep(us / 1000);
		return;
	}
	while (ktime_get_ns() < until)
		cpu_relax();
}

static void pass(enum point point, u32 netns, int value)
{
	if (!smp_load_acquire(&armed) || plan.point != point || (plan.netns && plan.netns != netns) ||
	    (!plan.any && plan.value != value) || atomic_inc_return(&passed) != plan.nth)
		return;
	if (plan.fail && in_task()) {
		victim = get_task_struct(current);
		WRITE_ONCE(current->fail_nth, plan.fail);
	}
	smp_store_release(&hit, true);
	wake_up_all(&readers);
	stay(plan.delay_us);
}

static u32 inum(const struct es_net *es)
{
	return es->net->ns.inum;
}

static void on_sample(void *data, const struct es_net *es, const struct es_sa *sa)
{
	pass(SAMPLE, inum(es), 0);
}

static void on_send(void *data, const struct es_peer *p, u64 seq, unsigned int len, unsigned int records)
{
	pass(SEND, inum(p->es), !!records);
}

static void on_receive(void *data, const struct es_net *es, u8 peer, u64 seq, unsigned int len, int drop)
{
	pass(RECEIVE, inum(es), drop);
}

static void on_merge(void *data, const struct es_net *es, const struct es_sa *sa, u8 dir, u64 number)
{
	pass(MERGE, inum(es), dir);
}

static void on_promote(void *data, const struct es_group *g, u32 doubtful)
{
	pass(PROMOTE, inum(g->es), 0);
}

static void on_refuse(void *data, const struct es_net *es, u8 family, __be32 spi, unsigned int len)
{
	pass(REFUSE, inum(es), 0);
}

static void on_peer(void *data, const struct es_peer *p, u8 what)
{
	pass(PEER, inum(p->es), what);
}

static void on_lease(void *data, const struct es_net *es, const struct es_sa *sa, u8 what, u64 value)
{
	pass(LEASE, inum(es), what);
}

static void on_role(void *data, const struct es_group *g, u8 what)
{
	pass(ROLE, inum(g->es), what);
}

static void *const probes[] = { on_sample, on_send, on_receive, on_merge, on_promote, on_refuse, on_peer, on_lease, on_role };

/* A probe whose arguments are not the tracepoint's does not compile. */
static void __maybe_unused types(void)
{
	check_trace_callback_type_espsync_sample(on_sample);
	check_trace_callback_type_espsync_send(on_send);
	check_trace_callback_type_espsync_receive(on_receive);
	check_trace_callback_type_espsync_merge(on_merge);
	check_trace_callback_type_espsync_promote(on_promote);
	check_trace_callback_type_espsync_refuse(on_refuse);
	check_trace_callback_type_espsync_peer(on_peer);
	check_trace_callback_type_espsync_lease(on_lease);
	check_trace_callback_type_espsync_role(on_role);
}

static int point_of(const char *name)
{
	return match_string(names, N_POINTS, name);
}

/* espsync.ko exports nothing: its tracepoints are found when it comes, and let go of when it goes. */
static int came_or_went(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = ((struct tp_module *)data)->mod;
	unsigned int i;
	int point;

	if (strcmp(mod->name, "espsync"))
		return NOTIFY_DONE;
	for (i = 0; i < mod->num_tracepoints; i++) {
		struct tracepoint *tp = tracepoint_ptr_deref(&mod->tracepoints_ptrs[i]);

		point = point_of(tp->name + strlen("espsync_"));
		if (point < 0)
			continue;
		if (action == MODULE_STATE_COMING)
			WARN_ON(tracepoint_probe_register(tp, probes[point], NULL));
		else if (action == MODULE_STATE_GOING)
			WARN_ON(tracepoint_probe_unregister(tp, probes[point], NULL));
	}
	if (action == MODULE_STATE_GOING)
		tracepoint_synchronize_unregister();
	return NOTIFY_OK;
}

static struct notifier_block espsync_nb = { .notifier_call = came_or_went };

/* arm_lock held. */
static void disarm(void)
{
	smp_store_release(&armed, false);
	tracepoint_synchronize_unregister();
	was_hit |= hit;
	hit = false;		/* who reads from now on waits for the next one */
	if (victim) {
		refused = !READ_ONCE(victim->fail_nth);
		WRITE_ONCE(victim->fail_nth, 0);
		put_task_struct(victim);
		victim = NULL;
	}
}

static int arm(char *text)
{
	char name[16], value[16];
	int point;

	if (sscanf(text, "%15s %15s %u %u %u %u", name, value, &plan.netns, &plan.nth, &plan.delay_us, &plan.fail) != 6)
		return -EINVAL;
	point = point_of(name);
	plan.any = !strcmp(value, "any");
	if (point < 0 || !plan.nth || plan.delay_us > MAX_DELAY_US || (!plan.any && kstrtoint(value, 0, &plan.value)))
		return -EINVAL;
	plan.point = point;
	atomic_set(&passed, 0);
	was_hit = false;
	refused = false;
	smp_store_release(&armed, true);
	return 0;
}

static ssize_t faults_write(struct file *file, const char __user *user, size_t len, loff_t *pos)
{
	char text[96];
	int err = 0;

	if (len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, len))
		return -EFAULT;
	text[len] = '\0';
	mutex_lock(&arm_lock);
	disarm();
	if (strcmp(strim(text), "off"))
		err = arm(text);
	mutex_unlock(&arm_lock);
	return err ?: len;
}

static ssize_t faults_read(struct file *file, char __user *user, size_t len, loff_t *pos)
{
	char text[64];
	int n;

	if (*pos)
		return 0;
	if (!(file->f_flags & O_NONBLOCK) && wait_event_interruptible(readers, smp_load_acquire(&hit)))
		return -ERESTARTSYS;
	n = scnprintf(text, sizeof(text), "%s passed %d%s\n", READ_ONCE(hit) || READ_ONCE(was_hit) ? "hit" : "waits", atomic_read(&passed),
		      READ_ONCE(refused) ? " refused" : "");
	return simple_read_from_buffer(user, len, pos, text, n);
}

static const struct file_operations faults_fops = {
	.owner = THIS_MODULE,
	.read = faults_read,
	.write = faults_write,
};

static struct dentry *file;

static int __init faults_init(void)
{
	int err = register_tracepoint_module_notifier(&espsync_nb);

	if (err)
		return err;
	file = debugfs_create_file("espsync_faults", 0600, NULL, NULL, &faults_fops);
	return 0;
}

static void __exit faults_exit(void)
{
	debugfs_remove(file);
	disarm();
	unregister_tracepoint_module_notifier(&espsync_nb);
}

module_init(faults_init);
module_exit(faults_exit);

MODULE_DESCRIPTION("Holds espsync up at a named point, for its tests");
MODULE_LICENSE("GPL");
