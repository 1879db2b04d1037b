from ganforge.testing import architecture_tests

test_lightweight = architecture_tests("lightweight:width=4,discriminator_width=4")
