# Short names for everyday commands; https://just.systems runs them (`just`, without a name, lists them).
# Nothing here is more than the plain command under its name: CONTRIBUTING.md has both.

_:
    @just --list --unsorted

# the files that find most faults in seconds: while you work
quick *arguments:
    pytest -m "quick and not slow" {{ arguments }}

# all tests not marked slow, in as many processes as there are cores (four at most): before every commit
test *arguments:
    pytest {{ arguments }}

# every test: before a release
all *arguments:
    pytest -m "" {{ arguments }}

# what CI asks beside the tests
lint:
    ruff check .
    ruff format --check .

# what the annotations say, checked
types:
    mypy

# put code into the form that lint asks for
format:
    ruff check --fix .
    ruff format .

# the documentation as a site, in site/
docs *arguments:
    mkdocs build --strict {{ arguments }}

# the pages of the reference, from the code
reference:
    python -m tools.reference

# seeded faults, each of which a test must see
mutants *arguments:
    python -m tests.mutants {{ arguments }}

# images a second, against a loop written by hand
bench *arguments:
    python -m tests.benchmarks.speed {{ arguments }}
