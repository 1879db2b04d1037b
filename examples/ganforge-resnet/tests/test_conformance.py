from ganforge.testing import architecture_tests

test_resnet = architecture_tests("resnet:width=4,discriminator_width=4")
