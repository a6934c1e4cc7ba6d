// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_alike.c - user/espsyncd: what is said of a configuration, and which sentences follow when two nodes say it.
 *
 * Job: strongSwan's files and charon's answers as text, the digest that they make, and the lines; and digests of a peer that are none.
 */
// SOURCES: ../../user/espsyncd/settings.c ../../user/espsyncd/files.c ../../user/espsyncd/config.c ../../user/espsyncd/digest.c ../../user/espsyncd/facts.c ../../user/espsyncd/spis.c
// SOURCES: ../../user/espsyncd/differ.c ../../user/espsyncd/carried.c ../../user/espsyncd/lines.c ../../user/espsyncd/vici_msg.c ../../user/espsyncd/bytes.c
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../user/espsyncd/carried.h"
#include "../../user/espsyncd/differ.h"
#include "../../user/espsyncd/facts.h"
#include "../../user/espsyncd/files.h"
#include "espsyncd_conns.h"
#include "ktap.h"

static const struct config config = { .n_addrs = 1, .addrs = { { 4, { 192, 0, 2, 1 } } } };

/* ---- strongSwan's files ---- */

static bool no_file(struct settings_reader *r, struct settings *into, const char *pattern)
{
	(void)r, (void)into, (void)pattern;
	return true;
}

static char why[SETTINGS_ERROR];

static struct settings *parsed(const char *text)
{
	struct settings_reader r = { .include = no_file, .room = 1 << 20 };
	struct settings *s = settings_alloc();

	why[0] = 0;
	if (settings_parse(&r, s, "f", text) && settings_resolve(&r, s))
		return s;
	snprintf(why, sizeof(why), "%s", r.error);
	settings_free(s);
	return NULL;
}

/* By its path: a.b.c. Return: "-" if there is none */
static const char *at(const struct settings *s, const char *path)
{
	char name[64];
	const char *dot;

	for (; s && (dot = strchr(path, '.')); path = dot + 1) {
		snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
		s = settings_section(s, name);
	}
	return (s ? settings_value(s, path) : NULL) ?: "-";
}

static const struct {
	const char *text, *path, *value;
} syntax[] = {
	{ "a { b = c }", "a.b", "c" },
	{ "a\n{\n\tb = c # d\n}", "a.b", "c" },
	{ "a { b = c  d\tg }", "a.b", "c d g" },
	{ "a { b = \"c  d#}\" }", "a.b", "c  d#}" },
	{ "a { b = \"c\\\"\\n\\td\\\ng\" f }", "a.b", "c\"\n\tdg f" },
	{ "a { b=c}", "a.b", "c" },
	{ "a { b =\n c = d }", "a.c", "d" },
	{ "a { b =\n c = d }", "a.b", "" },
	{ "a { b = c\n b = d }", "a.b", "d" },
	{ "a { b = c }\n a { d = e }", "a.b", "c" },
	{ "a { b = c }\n a { b = e }", "a.b", "e" },
	{ "include = x", "include", "x" },
	{ "include x y = z", "y", "z" },
	{ "a : d { b = c } d { b = x\n e = f\n g { h = i } }", "a.b", "c" },
	{ "a : d { b = c } d { b = x\n e = f\n g { h = i } }", "a.e", "f" },
	{ "a : d { b = c } d { b = x\n e = f\n g { h = i } }", "a.g.h", "i" },
	{ "a : x.y , z { } x { y { p = q } } z { r = s }", "a.p", "q" },
	{ "a : x.y , z { } x { y { p = q } } z { r = s }", "a.r", "s" },
	{ "a : b { e = } b : c { } c { e = f\n g = h }", "a.g", "h" },
	{ "a : b { e = } b : c { } c { e = f\n g = h }", "a.e", "" },
	{ "a : b { c = d } b : a { e = f }", "a.e", "f" },
	{ "a : none { b = c }", "a.b", "c" },
	{ "secrets { ike { secret = x } } a { secrets { b = c } }", "secrets.ike.secret", "-" },
	{ "secrets { ike { secret = x } } a { secrets { b = c } }", "a.secrets.b", "c" },
};

static bool files_are_read_as_strongswan_reads_them(void)
{
	for (size_t i = 0; i < sizeof(syntax) / sizeof(*syntax); i++) {
		struct settings *s = parsed(syntax[i].text);

		if (!s || strcmp(at(s, syntax[i].path), syntax[i].value)) {
			ktap_diag("%s: %s is %s, %s", syntax[i].text, syntax[i].path, s ? at(s, syntax[i].path) : "nothing", why);
			return false;
		}
		settings_free(s);
	}
	return true;
}

static const struct {
	const char *text, *sentence;
} bad[] = {
	{ "a {", "f:1: the text ends within section a" },
	{ "a { }\n}", "f:2: } without {" },
	{ "a b", "f:1: a is followed neither by = nor by {" },
	{ "\n= x", "f:2: '=' where a name is expected" },
	{ "a = \"x", "f:1: the text ends within quotes" },
	{ "a = \"x\\", "f:1: the text ends within quotes" },
	{ "a : { }", "f:1: '{' where a name is expected" },
	{ "a : b = c", "f:1: a section's name is followed by {" },
	{ "a { b : a { } }", "sections have their settings from each other" },
	{ "a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{", "f:1: sections in more than 16 sections" },
};

static bool or_with_a_sentence(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct settings *s = parsed(bad[i].text);

		if (s || strncmp(why, bad[i].sentence, strlen(bad[i].sentence))) {
			ktap_diag("%s: %s", bad[i].text, why);
			return false;
		}
	}
	return true;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static bool includes_are_followed_and_end(void)
{
	char dir[] = "/tmp/espsync-alike-XXXXXX", path[64], error[CONFIG_ERROR], command[64];
	struct settings *s;

	ktap_expect(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	mkdir(path, 0700);
	write_file(dir, "top", "a { include conf.d/*.conf }\ninclude none/*\nz = y");
	write_file(path, "1.conf", "b = c");
	write_file(path, "2.conf", "b = d\ne { f = g }");
	snprintf(path, sizeof(path), "%s/top", dir);
	s = files_settings(path, error);
	ktap_expect(s && !strcmp(at(s, "a.b"), "d") && !strcmp(at(s, "a.e.f"), "g") && !strcmp(at(s, "z"), "y"));
	settings_free(s);
	write_file(dir, "top", "include top");
	ktap_expect(!files_settings(path, error) && strstr(error, "too many files include each other"));
	write_file(dir, "top", "x {");
	ktap_expect(!files_settings(path, error) && strstr(error, "/top:1: the text ends within section x"));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ktap_expect(!system(command) && !files_settings(path, error) && !*error);
	return true;
}

/* ---- a node ---- */

static struct digest node(const char *answers, const char *pools, const char *swanctl, const char *strongswan)
{
	struct bytes release = conns_message("daemon=charon version=5.9.8"), pool = conns_message(pools), conn = conns_message(answers);
	struct settings *files = parsed(swanctl), *charon = strongswan ? parsed(strongswan) : NULL;
	struct digest d = { 0 };

	facts_release(&d, bytes_at(&release), bytes_left(&release));
	facts_pools(&d, bytes_at(&pool), bytes_left(&pool));
	facts_conn(&d, &config, bytes_at(&conn), bytes_left(&conn));
	if (charon)
		facts_settings(&d, charon);
	digest_sort(&d);
	facts_written(&d, &config, files, charon, *answers);
	digest_sort(&d);
	settings_free(files);
	settings_free(charon);
	bytes_free(&release);
	bytes_free(&pool);
	bytes_free(&conn);
	return d;
}

#define CHARON	"rw { local_addrs=[ 192.0.2.1 ] version=IKEv2 reauth_time=0 rekey_time=14400 unique=UNIQUE_NO local-1 { class=psk groups=[ ] } " \
		"children { lan { mode=TUNNEL rekey_time=3600 local-ts=[ 10.1.0.0/24 10.2.0.0/24 ] } } }"
#define FILE	"connections { rw { local_addrs = 192.0.2.1\n version = 2\n mobike = no\n proposals = aes128-sha256\n pools = p\n " \
		"children { lan { rekey_time = 1h\n replay_window = 64 } } } }"
#define SETTINGS	"charon { install_routes = no\n spi_min = 0xc0000000\n filelog { x { path = /x } } plugins { ha { monitor = yes } " \
			"eap-radius { secret = s3cret } kernel-netlink { roam_events = no } } }"

static struct lines lines;

static const char *between(struct digest a, struct digest b)
{
	lines = (struct lines){ .n = 0 };
	differ_check(&a, &b, 2, &lines);
	lines_end(&lines);
	digest_free(&a);
	digest_free(&b);
	return lines.n ? lines.text[0] : "";
}

/* A node that is as the first one but for a word, with another one in its place. */
static struct digest changed(const char *was, const char *is)
{
	static const char *const all[] = { CHARON, FILE, SETTINGS };
	char text[3][1024];

	for (int i = 0; i < 3; i++) {
		const char *found = *was ? strstr(all[i], was) : NULL;

		snprintf(text[i], sizeof(text[i]), "%.*s%s%s", found ? (int)(found - all[i]) : (int)strlen(all[i]), all[i], found ? is : "",
			 found ? found + strlen(was) : "");
	}
	return node(text[0], "", text[1], text[2]);
}

static const struct {
	const char *was, *is, *sentence;
} differences[] = {
	{ "", "", "" },
	{ "version=IKEv2", "version=IKEv1/2", "connection rw: version is IKEv2 here, IKEv1/2 on node 2: make it the same" },
	{ "rekey_time=14400", "rekey_time=7200", "connection rw: rekey_time is 14400 here, 7200 on node 2: make it the same" },
	{ "class=psk", "class=pubkey", "connection rw: local-1.class is psk here, pubkey on node 2: make it the same" },
	{ "rekey_time=3600", "rekey_time=60", "connection rw, child lan: rekey_time is 3600 here, 60 on node 2: make it the same" },
	{ "10.2.0.0/24 ]", "]", "connection rw, child lan: local_ts is 10.1.0.0/24, 10.2.0.0/24 here, 10.1.0.0/24 on node 2: make it the same" },
	{ "reauth_time=0", "reauth_time=0 dpd_delay=30", "connection rw: dpd_delay is 0 here, 30 on node 2: make it the same" },
	{ "lan { mode", "x { mode", "connection rw, child lan is loaded here and not on node 2: swanctl --load-all there" },
	{ "rw { local_addrs=", "vpn { local_addrs=", "connection rw is loaded here and not on node 2: swanctl --load-all there" },
	/* charon's is in force; the file says the same otherwise */
	{ "rekey_time = 1h", "rekey_time = 60m", "" },
	{ "rekey_time = 1h", "rekey_time = 3h", "" },
	{ "mobike = no", "mobike = yes", "connection rw: mobike is no here, yes on node 2: make it the same" },
	{ "mobike = no", "mobike = false", "" },
	{ "mobike = no\n", "", "connection rw: mobike is no here, yes on node 2: make it the same" },
	{ "mobike = no", "mobike = no\n send_certreq = yes\n childless = allow", "" },
	{ "proposals = aes128-sha256", "proposals = aes128-sha256 , default",
	  "connection rw: proposals is aes128-sha256 here, aes128-sha256, default on node 2: make it the same" },
	{ "pools = p", "pools = q", "connection rw: pools is p here, q on node 2: make it the same" },
	{ "replay_window = 64", "replay_window = 1024", "connection rw, child lan: replay_window is 64 here, 1024 on node 2: make it the same" },
	{ "replay_window = 64", "", "connection rw, child lan: replay_window is 64 here, 32 on node 2: make it the same" },
	{ "replay_window = 64", "replay_window = 64\n start_action = trap",
	  "connection rw, child lan: start_action is none here, trap on node 2: make it the same" },
	{ "connections { rw", "connections { other",
	  "connection rw does not stand in the swanctl.conf of node 2, and cannot be compared whole: write it there" },
	{ "install_routes = no", "install_routes = yes", "strongSwan: charon.install_routes is no here, yes on node 2: make it the same" },
	{ "install_routes = no\n", "", "strongSwan: charon.install_routes is no here, not set on node 2: make it the same" },
	{ "monitor = yes", "monitor = no", "strongSwan: charon.plugins.ha.monitor is yes here, no on node 2: make it the same" },
	{ "0xc0000000", "0xc8000000", "" },
	{ "/x", "/y", "" },
	{ "s3cret", "s3cret2", "" },
};

static bool each_difference_is_a_sentence(void)
{
	for (size_t i = 0; i < sizeof(differences) / sizeof(*differences); i++) {
		const char *said = between(changed("", ""), changed(differences[i].was, differences[i].is));

		if (strcmp(said, differences[i].sentence) || lines.n > (*differences[i].is && strchr("vx", *differences[i].is) ? 2 : 1)) {
			ktap_diag("%s -> %s: %u lines, %s", differences[i].was, differences[i].is, lines.n, said);
			return false;
		}
	}
	return true;
}

/* The other way round it is the other node that has it. */
static bool of_either_side(void)
{
	ktap_expect(!strcmp(between(changed("rw { local_addrs=", "vpn { local_addrs="), changed("", "")),
			    "connection rw is loaded on node 2 and not here: swanctl --load-all here"));
	ktap_expect(lines.n == 2 && !strcmp(lines.text[1], "connection vpn is loaded here and not on node 2: swanctl --load-all there"));
	ktap_expect(!strcmp(between(changed("mobike = no\n", ""), changed("", "")), "connection rw: mobike is yes here, no on node 2: make it the same"));
	ktap_expect(!strcmp(between(changed("connections { rw", "connections { other"), changed("", "")),
			    "connection rw does not stand in the swanctl.conf of this node, and cannot be compared whole: write it there"));
	ktap_expect(strstr(between(node(CHARON, "", FILE, NULL), changed("", "")), "strongswan.conf cannot be read here") && lines.n == 1);
	ktap_expect(strstr(between(changed("", ""), node(CHARON, "", FILE, NULL)), "node 2 cannot read its strongswan.conf") && lines.n == 1);
	return true;
}

static bool the_release_and_pools_are_compared(void)
{
	struct digest other = { 0 };

	digest_add(&other, &(struct digest_item){ DIGEST_NODE, "", "", FACTS_RELEASE, "6.1.0" });
	digest_add(&other, &(struct digest_item){ DIGEST_NODE, "", "", "byte order", "middle-endian" });
	digest_sort(&other);
	ktap_expect(strstr(between(node("", "p { base=10.9.0.0 size=254 online=3 }", "", NULL), other), "byte order") && lines.n == 3);
	ktap_expect(!strcmp(lines.text[1], "strongSwan: pool p is 10.9.0.0, 254 addresses here, not set on node 2: make it the same"));
	ktap_expect(!strcmp(lines.text[2], "strongSwan is 5.9.8 here, 6.1.0 on node 2: run the same release"));
	return true;
}

/* charon's own window holds for children without one, and is compared there. */
static bool a_window_of_charons_own_counts_in_its_children(void)
{
	static const char file[] = "connections { rw { version = 2\n children { lan { } } } }";
	struct digest one = node(CHARON, "", file, "charon { replay_window = 128 }");
	struct digest same = node(CHARON, "", "connections { rw { version = 2\n children { lan { replay_window = 128 } } } }", "charon-systemd { x = y }");
	struct digest other = node(CHARON, "", file, "charon-systemd { replay_window = 256 }\n charon { replay_window = 128 }");

	lines = (struct lines){ .n = 0 };
	differ_check(&one, &same, 2, &lines);
	ktap_expect(lines.n == 1 && strstr(lines.text[0], "charon.x is not set here, y on node 2"));
	ktap_expect(!strcmp(between(one, other), "connection rw, child lan: replay_window is 128 here, 256 on node 2: make it the same") && lines.n == 1);
	digest_free(&same);
	return true;
}

static bool connections_of_other_addresses_are_left_alone(void)
{
	struct bytes own = conns_message("adm { local_addrs=[ 10.0.0.1 10.0.0.2 ] version=IKEv1 children { } }");
	struct bytes any = conns_message("any { local_addrs=[ %any ] version=IKEv2 children { } }");
	struct digest d = { 0 };

	facts_conn(&d, &config, bytes_at(&own), bytes_left(&own));
	ktap_expect(!digest_count(&d));
	facts_conn(&d, &config, bytes_at(&any), bytes_left(&any));
	ktap_expect(digest_count(&d) == 3);
	digest_free(&d);
	bytes_free(&own);
	bytes_free(&any);
	d = node("", "", "connections { adm { local_addrs = 10.0.0.1 , 10.0.0.2 } }", NULL);
	ktap_expect(!digest_value(&d, DIGEST_WRITTEN, "adm", "", ""));
	digest_free(&d);
	return true;
}

static bool long_values_are_shown_where_they_differ(void)
{
	char list[2][600] = { "connections { rw { proposals = ", "connections { rw { proposals = " };

	for (int i = 0; i < 20; i++) {
		sprintf(list[0] + strlen(list[0]), "aes128-sha%d,", 1000 + i);
		sprintf(list[1] + strlen(list[1]), "aes128-sha%d,", i == 18 ? 1 : 1000 + i);
	}
	strcat(list[0], "end } }");
	strcat(list[1], "end } }");
	ktap_expect(strstr(between(node(CHARON, "", list[0], NULL), node(CHARON, "", list[1], NULL)),
			   "proposals is ...aes128-sha1018, aes128-sha1019, end here, ...aes128-sha1, aes128-sha1019, end on node 2: make it the same"));
	return true;
}

/* ---- what is not carried ---- */

static const struct {
	const char *was, *is, *sentence;
} options[] = {
	{ "", "", "" },
	{ "version=IKEv2", "version=IKEv1", "connection rw: IKEv1 is accepted" },
	{ "version=IKEv2", "version=IKEv1/2", "connection rw: IKEv1 is accepted" },
	{ "version=IKEv2", "version=IKEv2 ppk_id=x", "connection rw: PPK (ppk_id) is not carried" },
	{ "replay_window = 64", "per_cpu_sas = encap", "connection rw, child lan: SAs for each CPU" },
	{ "replay_window = 64", "mark_in = %unique/0xff", "connection rw, child lan: mark_in = %unique" },
	{ "replay_window = 64", "mark_in = 5", "" },
	{ "replay_window = 64", "if_id_out = %unique-dir", "connection rw, child lan: if_id_out = %unique" },
	{ "mobike = no", "mobike = no\n if_id_in = %unique", "connection rw: if_id_in = %unique" },
	{ "replay_window = 64", "updown = /bin/true", "connection rw, child lan: updown scripts" },
	{ "replay_window = 64", "start_action = start", "connection rw, child lan: start_action would" },
	{ "replay_window = 64", "start_action = none", "" },
	{ "monitor = yes", "monitor = no", "strongSwan: plugins.ha.monitor = no" },
	{ "monitor = yes", "monitor = yes\n remote = 127.0.0.2", "strongSwan: plugins.ha.buflen is 2048: a CHILD SA with many traffic selectors" },
	{ "monitor = yes", "monitor = yes\n remote = 127.0.0.2\n buflen = 4096", "strongSwan: plugins.ha.buflen is 4096: a CHILD SA" },
	{ "monitor = yes", "monitor = yes\n remote = 127.0.0.2\n buflen = 65535", "" },
	{ "secret = s3cret", "accounting = yes", "strongSwan: RADIUS accounting" },
	{ "mobike = no", "mobike = yes", "" },
};

static bool each_option_that_is_not_carried_is_a_sentence(void)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		struct digest d = changed(options[i].was, options[i].is);

		lines = (struct lines){ .n = 0 };
		carried_check(&d, &lines);
		digest_free(&d);
		if (lines.n != !!*options[i].sentence || strncmp(lines.text[0], options[i].sentence, strlen(options[i].sentence))) {
			ktap_diag("%s: %u lines, %s", options[i].is, lines.n, lines.text[0]);
			return false;
		}
	}
	return true;
}

static bool and_pools_and_roaming(void)
{
	struct digest d = node(CHARON, "p { base=10.9.0.0 size=254 }", "connections { rw { x = y } }", "charon { x = y }");

	lines = (struct lines){ .n = 0 };
	carried_check(&d, &lines);
	digest_free(&d);
	ktap_expect(lines.n == 2 && strstr(lines.text[0], "pool p: who has which of its addresses is not carried"));
	ktap_expect(strstr(lines.text[1], "connection rw: mobike with kernel-netlink.roam_events = yes"));
	return true;
}

/* Files alone, for charon does not run: what it would tell comes from there. */
static bool without_charon_the_files_are_looked_at(void)
{
	static const char file[] = "connections { one { } two { version = 2\n mobike = no\n ppk_id = x } } pools { p { addrs = 10.9.0.0/24 } }";
	struct digest d = node("", "", file, NULL);

	lines = (struct lines){ .n = 0 };
	carried_check(&d, &lines);
	digest_free(&d);
	ktap_expect(lines.n == 3 && strstr(lines.text[0], "pool p:") && strstr(lines.text[1], "connection one: IKEv1 is accepted") &&
		    strstr(lines.text[2], "connection two: PPK"));
	return true;
}

/* ---- a peer's bytes ---- */

static bool reads(const char *bytes, size_t len)
{
	struct digest d;
	bool ok = digest_read(&d, (const uint8_t *)bytes, len);

	ok = ok && bytes_left(&d.text) == len && !memcmp(bytes_at(&d.text), bytes, len);
	digest_free(&d);
	return ok;
}

#define READS(text)	reads(text, sizeof(text) - 1)

static bool a_digest_is_taken_whole_or_not_at_all(void)
{
	struct digest d = changed("", ""), again = { 0 };
	size_t n;

	ktap_expect(digest_read(&again, bytes_at(&d.text), bytes_left(&d.text)) && digest_equal(&d, &again));
	digest_free(&again);
	for (n = 1; n < bytes_left(&d.text); n++) {
		ktap_expect(!digest_read(&again, bytes_at(&d.text), n) || again.text.len == n);
		digest_free(&again);
	}
	digest_free(&d);
	ktap_expect(READS("") && READS("\0a\0b\0c\0d\0") && READS("\0a\0b\0c\0d\0\1a\0b\0c\0d\0"));
	ktap_expect(!READS("\0a\0b\0c\0d") && !READS("\0a\0b\0c\0") && !READS("\3a\0b\0c\0d\0") && !READS("\0"));
	ktap_expect(!READS("\0a\0b\0c\0d\0\0a\0b\0c\0e\0"));		/* twice */
	ktap_expect(!READS("\0a\0b\0d\0d\0\0a\0b\0c\0d\0"));		/* in the wrong order */
	return true;
}

static bool names_and_sizes_have_their_limits(void)
{
	char name[300], value[9000], *p;
	struct digest d = { 0 }, again;
	char bytes[600] = { 0 };

	memset(name, 'n', 299), name[299] = 0;
	memset(value, 'v', 8999), value[8999] = 0;
	digest_add(&d, &(struct digest_item){ DIGEST_LOADED, name, name, name, value });
	digest_sort(&d);
	ktap_expect(strlen(digest_item(&d, 0).conn) == DIGEST_NAME && strlen(digest_item(&d, 0).value) == DIGEST_VALUE);
	ktap_expect(digest_read(&again, bytes_at(&d.text), bytes_left(&d.text)));
	digest_free(&again);
	p = bytes + 1;
	memset(p, 'n', 256);
	ktap_expect(!reads(bytes, 1 + 256 + 1 + 3));
	for (unsigned int i = 0; i < 1000 && !d.too_large; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		digest_add(&d, &(struct digest_item){ DIGEST_LOADED, name, "", "", value });
	}
	ktap_expect(d.too_large && bytes_left(&d.text) <= DIGEST_MAX);
	digest_sort(&d);
	ktap_expect(d.too_large && digest_read(&again, bytes_at(&d.text), bytes_left(&d.text)));
	digest_free(&again);
	digest_free(&d);
	return true;
}

static bool what_a_peer_says_is_shown_as_text(void)
{
	struct digest evil = { 0 };

	digest_add(&evil, &(struct digest_item){ DIGEST_LOADED, "\033[2J%s%n", "", "", "" });
	digest_sort(&evil);
	ktap_expect(!strcmp(between((struct digest){ 0 }, evil), "connection ?[2J%s%n is loaded on node 2 and not here: swanctl --load-all here"));
	return true;
}

static bool there_are_so_many_lines_at_most(void)
{
	struct digest many = { 0 };
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "c%02d", i);
		digest_add(&many, &(struct digest_item){ DIGEST_LOADED, name, "", "", "" });
	}
	digest_sort(&many);
	between(many, (struct digest){ 0 });
	ktap_expect(lines.n == LINES_MAX && !strncmp(lines.text[LINES_MAX - 1], "69 more differences", 19));
	lines_add(&lines, "%s", lines.text[0]);
	ktap_expect(lines.more == 68);
	return true;
}

static const struct ktap_case cases[] = {
	{ "files are read as strongSwan reads them", files_are_read_as_strongswan_reads_them },
	{ "or with a sentence", or_with_a_sentence },
	{ "includes are followed, and end", includes_are_followed_and_end },
	{ "each difference is a sentence", each_difference_is_a_sentence },
	{ "of either side", of_either_side },
	{ "the release and pools are compared", the_release_and_pools_are_compared },
	{ "a window of charon's own counts in its children", a_window_of_charons_own_counts_in_its_children },
	{ "connections of other addresses are left alone", connections_of_other_addresses_are_left_alone },
	{ "long values are shown where they differ", long_values_are_shown_where_they_differ },
	{ "each option that is not carried is a sentence", each_option_that_is_not_carried_is_a_sentence },
	{ "and pools and roaming", and_pools_and_roaming },
	{ "without charon the files are looked at", without_charon_the_files_are_looked_at },
	{ "a digest is taken whole or not at all", a_digest_is_taken_whole_or_not_at_all },
	{ "names and sizes have their limits", names_and_sizes_have_their_limits },
	{ "what a peer says is shown as text", what_a_peer_says_is_shown_as_text },
	{ "there are so many lines at most", there_are_so_many_lines_at_most },
};

KTAP_MAIN(cases)
