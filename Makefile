# SPDX-License-Identifier: GPL-2.0
#
# Builds, installs and tests espsync. The module's own build is in Kbuild; this
# file is for people, `make -C KDIR M=$PWD modules` is all that kbuild needs.
#
#   make [KDIR=...]                     module, helper and tool
#   make deps                           what building and testing need, on Debian
#   make install | uninstall            [DESTDIR=] [PREFIX=/usr/local]; install-user: all but the module
#   make dkms-install                   the module's sources to /usr/src, and DKMS told
#   make check [T=name,name] [K=6.12] [L=1] [V=1]   tests, in guests; K: all on that stock kernel; L: list
#   make demo                           one tunnel, two gateways killed in turn, on three emulated machines; as root, on Debian 12
#   make check-debug                    all of it in User Mode Linux with the sanitizers, also what make check runs in a faster one
#   make check-kcsan [T=name]           sampler, merge, promote and unload under load on four CPUs, with a kernel that watches for data races
#   make check-kernels [T=name]         builds, DKMS, and all of it on Debian's 6.1, 6.12 and 7.2; takes hours, goes on where it was cut short
#   make check T=name S=trixie          with another Debian's strongSwan (trixie: 6.0, sid: 6.1), in User Mode Linux
#   make check-strongswan [T=name]      all that starts charons with 5.9.8, 6.0 and 6.1, and a table; takes hours, goes on where it was cut short
#   make lint [T=tool]                  what sparse, checkpatch, coccinelle and others say of the sources; part of make check
#   make mutants [T=name]               each fault in selftests/mutants must be noticed
#   make check-faults [RUNS=500] [SEED=n]   a fault at each named point of the state machines, many boots; goes on where it was
#   make soak [N=1000] [SEED=n]         so many random failovers, the same way
#   make fuzz [FUZZ_S=60] [T=name]      libFuzzer over all that reads input from outside, so many seconds for each target; installs clang
#   make check-user                     the unit tests once under ASan and UBSan, once under valgrind, which it installs
#   make model [T=name] [BIG=1]         the lease protocol in a model checker: every history within bounds, and each rule left out
#   make bench [T=figure,figure]        measures what bench/bounds names, in guests, into bench/results.json; goes on where it was cut short
#   make bench-verdict                  each figure beside what it must reach; fails if one is missed or missing
#   make bench-quick [T=figure]         the shorter ones with fewer runs, to build/bench-quick.json
#   make module KDIR=...                the module for that kernel, in a directory of its own under build/

KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	  $(shell ls -dv /lib/modules/*/build 2>/dev/null | tail -n 1))
PREFIX ?= /usr/local
INSTALL ?= install
HARNESS := selftests/harness
# dkms.conf is where the version is written down.
VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
DKMS_DIR = $(DESTDIR)/usr/src/espsync-$(VERSION)
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
SHAREDIR = $(DESTDIR)$(PREFIX)/share/espsync
UNITS = $(wildcard systemd/*.service systemd/*.socket)
# Pacemaker looks in /usr/lib/ocf/resource.d: PREFIX=/usr, or a link there (README).
OCFDIR = $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/espsync
BUILD_DEPS := build-essential linux-headers-amd64 pkg-config libnl-genl-3-dev libmnl-dev libgnutls28-dev \
	libevent-dev libjansson-dev
TEST_DEPS := qemu-system-x86 busybox-static bc flex bison libelf-dev libssl-dev cpio e2fsprogs kmod python3 rsync \
	xz-utils iproute2 util-linux ca-certificates patch pahole
# smatch is not in Debian 12; checkpatch, kernel-doc and the semantic patches come with the kernel source that UML is built from.
LINT_DEPS := sparse coccinelle clang-tidy shellcheck codespell perl

FUZZ_DEPS := build-essential clang libclang-rt-dev libgnutls28-dev libevent-dev libjansson-dev python3
VALGRIND_DEPS := build-essential pkg-config valgrind libc6-dbg libnl-genl-3-dev libjansson-dev
MODEL_DEPS := spin gcc libc6-dev
FUZZ_S ?= 60

# Installs what is named, unless it is there.
need = @dpkg -s $(1) >/dev/null 2>&1 || { apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1); } >/dev/null

.PHONY: all kernel user module install install-user uninstall dkms-install dkms-uninstall deps check check-debug check-kcsan check-kernels check-strongswan check-faults soak lint demo mutants fuzz check-user model bench bench-verdict bench-quick clean

all: kernel user

kernel:
	@test -n "$(KDIR)" || { echo "make: no kernel headers found (run 'make deps', or give KDIR=)" >&2; exit 2; }
	+@$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) W=1 modules

user:
	+@$(MAKE) --no-print-directory -C user

module:
	@$(HARNESS)/module-build $(KDIR)

install: all install-user
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) $(if $(DESTDIR),DEPMOD=true) modules_install

# All but the module, which DKMS may install.
install-user: user
	$(MAKE) -C user install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	$(INSTALL) -d $(UNITDIR) $(SHAREDIR)
	set -e; for u in $(UNITS); do \
		sed 's#@PREFIX@#$(PREFIX)#g' $$u > $(UNITDIR)/$${u##*/}; chmod 644 $(UNITDIR)/$${u##*/}; done
	cp -R etc $(SHAREDIR)/examples
	$(INSTALL) -d $(UNITDIR)/strongswan.service.d $(DESTDIR)$(PREFIX)/lib/espsync
	$(INSTALL) -m 644 systemd/strongswan.service.d/espsync.conf $(UNITDIR)/strongswan.service.d
	$(INSTALL) -m 755 systemd/espsync-closed $(DESTDIR)$(PREFIX)/lib/espsync
	$(INSTALL) -m 644 systemd/espsyncd.nft $(DESTDIR)$(PREFIX)/lib/espsync
	$(INSTALL) -d $(OCFDIR)
	sed 's#@PREFIX@#$(PREFIX)#g' ocf/espsync > $(OCFDIR)/espsync
	chmod 755 $(OCFDIR)/espsync

# What kbuild installed carries the kernel's release in its path; every release's copy goes.
uninstall:
	$(MAKE) -C user uninstall DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	rm -f $(addprefix $(UNITDIR)/,$(notdir $(UNITS)))
	rm -f $(UNITDIR)/strongswan.service.d/espsync.conf
	rm -rf $(SHAREDIR) $(DESTDIR)$(PREFIX)/lib/espsync $(OCFDIR)
	find $(DESTDIR)/lib/modules -name 'espsync.ko*' ! -path '*/dkms/*' -delete
	$(if $(DESTDIR),,depmod -a)

dkms-install:
	$(INSTALL) -d $(DKMS_DIR)/kmod $(DKMS_DIR)/include/uapi/linux
	$(INSTALL) -m 644 dkms.conf Kbuild $(DKMS_DIR)
	$(INSTALL) -m 644 kmod/Kbuild $(wildcard kmod/*.[ch]) $(DKMS_DIR)/kmod
	$(INSTALL) -m 644 $(wildcard include/uapi/linux/*.h) $(DKMS_DIR)/include/uapi/linux
	$(if $(DESTDIR),,dkms install -m espsync -v $(VERSION))

dkms-uninstall:
	$(if $(DESTDIR),,-dkms remove -m espsync -v $(VERSION) --all)
	rm -rf $(DKMS_DIR)

deps:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(BUILD_DEPS) $(TEST_DEPS) $(LINT_DEPS)

check:
	@$(if $(L),true,$(MAKE) --no-print-directory user >/dev/null)
	@$(HARNESS)/run -m $(if $(L),-l) $(if $(K),-k $(K)) $(if $(V),-v) $(T)

check-debug: user
	@$(HARNESS)/run -w uml $(T)

check-kcsan: user
	@$(HARNESS)/run -w qemu-kcsan $(or $(T),smoke counters crash restarts races)

check-kernels: user
	@$(HARNESS)/check-kernels $(T)

check-strongswan: user
	@$(HARNESS)/check-strongswan $(T)

lint:
	@$(HARNESS)/lint $(T)

check-faults: user
	@$(HARNESS)/series faults $(or $(RUNS),500) $(SEED)

soak: user
	@$(HARNESS)/series soak $(or $(N),1000) $(SEED)

demo:
	@$(MAKE) --no-print-directory deps >/dev/null
	@$(MAKE) --no-print-directory user >/dev/null
	@selftests/demo/run

mutants: user
	$(call need,$(FUZZ_DEPS))
	@$(HARNESS)/mutants $(T)

# What the targets found is kept in build/fuzz/corpus, and they go on from there.
fuzz:
	$(call need,$(FUZZ_DEPS))
	@nice selftests/fuzz/run -s $(FUZZ_S) $(T)

check-user:
	$(call need,$(VALGRIND_DEPS))
	@selftests/unit.sh
	@$(MAKE) --no-print-directory -C selftests/unit valgrind

model:
	$(call need,$(MODEL_DEPS))
	@model/check $(if $(BIG),-b) $(T)

bench: user
	@bench/run $(T)

bench-verdict:
	@bench/verdict

bench-quick: user
	@bench/run -q $(T)

clean:
	-@test -z "$(KDIR)" || $(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) clean
	+@$(MAKE) --no-print-directory -C user clean
	+@$(MAKE) --no-print-directory -C bench/progs clean
	rm -rf build/kmod-* build/mutant build/model build/tmp build/results build/unit build/fuzz

# build/ keeps kernels and packages, which take minutes; this does not.
.PHONY: distclean
distclean: clean
	rm -rf build
