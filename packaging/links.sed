# SPDX-License-Identifier: Apache-2.0
#
# The links of a page as they are where it is installed: all pages and what they show in one
# directory, the examples below it, the man pages in their own place.
s,](\.\./,](,g
s,](docs/,](,g
s,](tests/[a-z]*/,](,g
s,](packaging/man/\([a-z.-]*\)\.\([0-9]\)),](../../man/man\2/\1.\2.gz),g
