"""Gates: Great Expectations suites over a small profile of a version, and the receipts they write."""
