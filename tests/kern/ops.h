/* The operations under test, one line each; `name` is defined as kern_<name> in the file of that
 * name. */
KERN_OP(linear)
KERN_OP(conv2d)
KERN_OP(attention)
