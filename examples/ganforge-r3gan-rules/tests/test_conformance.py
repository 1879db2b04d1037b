from ganforge.testing import loss_tests, strategy_tests

test_rpgan = loss_tests("rpgan")
test_flat_at_both = strategy_tests("flat-at-both")
