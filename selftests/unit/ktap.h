/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ktap.h - a table of cases, run in order, told in KTAP.
 *
 * Job: what every unit program here has in common. A case returns true when
 * it holds; when it does not, it says with ktap_diag() what it saw.
 */
#ifndef UNIT_KTAP_H
#define UNIT_KTAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct ktap_case {
	const char *name;
	bool (*run)(void);
};

#define ktap_diag(...) do { printf("# " __VA_ARGS__); putchar('\n'); } while (0)

/* Ends the case that it stands in, with the place and the condition. */
#define ktap_expect(cond) do {						\
	if (!(cond)) {							\
		ktap_diag("%s:%d: not so: %s", __FILE__, __LINE__, #cond); \
		return false;						\
	}								\
} while (0)

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

#endif /* UNIT_KTAP_H */
