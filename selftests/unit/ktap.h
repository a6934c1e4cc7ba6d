/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ktap.h - a table of cases, run in order, told in KTAP.
 *
 * Job: what every unit program here has in common. A case returns true when
 * it holds; when it does not, it says with ktap_diag() what it saw. In the
 * kernel the table is a KUnit suite, a parameter each; those who include this
 * do not notice, if they take seeds and counts from here.
 */
#ifndef UNIT_KTAP_H
#define UNIT_KTAP_H

/* Ends the case that it stands in, with the place and the condition. */
#define ktap_expect(cond) do {						\
	if (!(cond)) {							\
		ktap_diag("%s:%d: not so: %s", __FILE__, __LINE__, #cond); \
		return false;						\
	}								\
} while (0)

#ifdef __KERNEL__

#include <kunit/test.h>
#include <linux/random.h>

struct ktap_case {
	const char *name;
	bool (*run)(void);
};

#define ktap_diag(fmt, ...)	pr_info("# " fmt "\n", ##__VA_ARGS__)
#define assert(cond)		WARN_ON(!(cond))

/* The module's parameter; 0 if it was not given. */
extern unsigned long long ktap_given_seed;

static inline unsigned long long ktap_seed(void)
{
	return ktap_given_seed ?: get_random_u64();
}

/* A sanitized kernel is slow, and random rounds have their place in userspace. */
static inline unsigned long long ktap_rounds(unsigned long long rounds)
{
	return rounds / 20;
}

static inline void ktap_describe(const struct ktap_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

static inline void ktap_run(struct kunit *test)
{
	const struct ktap_case *c = test->param_value;

	KUNIT_EXPECT_TRUE(test, c->run());
}

#define KTAP_MAIN(cases)						\
	KUNIT_ARRAY_PARAM(ktap, cases, ktap_describe);			\
	static struct kunit_case ktap_kunit_cases[] = {			\
		KUNIT_CASE_PARAM(ktap_run, ktap_gen_params), {}		\
	};								\
	static struct kunit_suite ktap_suite = {			\
		.name = KBUILD_BASENAME,				\
		.test_cases = ktap_kunit_cases,				\
	};								\
	kunit_test_suite(ktap_suite);

#else /* !__KERNEL__ */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct ktap_case {
	const char *name;
	bool (*run)(void);
};

#define ktap_diag(...) do { printf("# " __VA_ARGS__); putchar('\n'); } while (0)

static inline unsigned long long ktap_number(const char *name, unsigned long long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

/* UNIT_SEED=N repeats a run. */
static inline unsigned long long ktap_seed(void)
{
	return ktap_number("UNIT_SEED", (unsigned long long)time(NULL) << 20 ^ (unsigned long long)getpid());
}

/* UNIT_ROUNDS=N makes a run longer or shorter, UNIT_PART=N makes it one Nth. */
static inline unsigned long long ktap_rounds(unsigned long long rounds)
{
	return ktap_number("UNIT_ROUNDS", rounds / ktap_number("UNIT_PART", 1));
}

/* Returns kselftest's exit code. */
static inline int ktap_run(const struct ktap_case *cases, size_t n)
{
	size_t failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		bool ok = cases[i].run();

		failed += !ok;
		printf("%sok %zu %s\n", ok ? "" : "not ", i + 1, cases[i].name);
	}
	return failed ? 1 : 0;
}

#define KTAP_MAIN(cases)						\
	int main(void)							\
	{								\
		return ktap_run(cases, sizeof(cases) / sizeof((cases)[0])); \
	}

#endif /* __KERNEL__ */

#endif /* UNIT_KTAP_H */
