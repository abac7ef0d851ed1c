# The steps of .ci/run one by one; `just` lists them.

_default:
    @just --list

# Everything a change must pass
ci:
    .ci/run

# Format all code
fmt:
    cargo fmt --all

# Lints, as errors
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# The manual of the library; warnings are errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, sources and duplicates of the dependencies
deny:
    cargo deny --workspace check bans licenses sources

# Parsers of input against made-up input; 300 seconds a target: `just fuzz 300`, one target: `just fuzz 300 journal`
fuzz seconds="60" *targets:
    fuzz/run {{seconds}} {{targets}}

# A Slurm of one node to test against; root on Debian
slurm:
    tests/slurm/start.sh

# The same of Grid Engine
gridengine:
    tests/gridengine/start.sh

# The tests
test:
    cargo test
    cargo test --release --package tiny-lm

# 2,000 trials with faults and restarts, and what they take: docs/performance.md; ten minutes
soak:
    cargo test --test soak -- --ignored --nocapture

# Kills, failing calls of the system and power cuts at every place: docs/reliability.md; an hour
adversary:
    cargo test --test adversary -- --include-ignored --nocapture

# Switches off every rule of the policies and the surrogate, and prints those that no test misses; half an hour
mutants *words:
    tests/mutants/run.py {{words}}

# The quickstart: trains real models, a few minutes
quickstart:
    cargo run --release -- optimize --config configs/quickstart.toml

# admire and other optimizers on the same problem of known optimum (their packages go to target/compare-venv): docs/comparison.md
compare *options:
    test -d target/compare-venv || python3 -m venv target/compare-venv
    target/compare-venv/bin/pip install --quiet --requirement benches/compare/requirements.txt
    target/compare-venv/bin/python benches/compare/compare.py {{options}}

# HEBO on the same problems, in an environment of its own: it needs older packages than the others
compare-hebo *options:
    test -d target/hebo-venv || python3 -m venv target/hebo-venv
    target/hebo-venv/bin/pip install --quiet --requirement benches/compare/requirements-hebo.txt
    target/hebo-venv/bin/python benches/compare/compare.py --optimizers hebo {{options}}

# Studies whose truth is known: whether what they state about certainty holds (docs/measured.md); --quick takes minutes
calibration *options:
    cargo bench --bench calibration -- {{options}}

# Studies with learning curves: what optimizer.stop_early and launcher.resumable save, and whether probabilities hold (docs/measured.md)
curves *options:
    cargo bench --bench curves -- {{options}}

# What the runs of an older study are worth after its domains have changed, replayed on a log (docs/measured.md)
changes log *options:
    test -d target/changes-venv || python3 -m venv target/changes-venv
    target/changes-venv/bin/pip install --quiet numpy
    cargo build --release --locked
    target/changes-venv/bin/python benches/changes/changes.py {{log}} {{options}}

# Real training after a change of domains (`changes`), or with a domain that the target repeats (`repetition`): docs/measured.md; a quarter of an hour
trained check *options:
    cargo build --release --locked --workspace
    python3 benches/trained/trained.py {{check}} {{options}}

# A wheel of the program in target/wheels, for `pip install` (maturin goes to target/wheel-venv)
wheel *options:
    test -d target/wheel-venv || python3 -m venv target/wheel-venv
    target/wheel-venv/bin/pip install --quiet 'maturin>=1.9,<2'
    target/wheel-venv/bin/maturin build --release --locked --out target/wheels {{options}}

# The Python package on the Python at hand, with the program of `cargo build` (the rest needs the wheel: .ci/run)
python:
    cargo build
    PATH="$PWD/target/debug:$PATH" PYTHONPATH="$PWD/python" python3 -m unittest discover --start-directory python/tests

# A program that needs no library of the machine it runs on, stripped, with its line tables in admire.debug beside it:
# target/x86_64-unknown-linux-musl/lines/admire (needs musl-gcc)
static:
    rustup target add x86_64-unknown-linux-musl
    cargo build --locked --profile lines --target x86_64-unknown-linux-musl
    cd target/x86_64-unknown-linux-musl/lines && objcopy --only-keep-debug admire admire.debug
    cd target/x86_64-unknown-linux-musl/lines && objcopy --strip-all --add-gnu-debuglink=admire.debug admire

# Writes the generated parts of the documentation: the reference of the command line, the tutorial's picture
docs:
    ADMIRE_WRITE_DOCS=1 cargo test --test book

# The documentation as a web site in target/book (mdBook goes to target/mdbook)
book:
    command -v target/mdbook/bin/mdbook >/dev/null || cargo install --locked --no-default-features --root target/mdbook mdbook
    target/mdbook/bin/mdbook build docs
