from ganforge.testing import strategy_tests

test_diffaugment = strategy_tests("diffaugment")
