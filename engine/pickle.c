/* The stack machine of Python's pickle, protocol 2, reduced to what torch.save writes for state
 * dicts.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Opcodes: Python's Lib/pickletools.py. Each makes at most one value and is at least one byte, so
 * memory is bounded by the length of the data. */
#include "pickle.h"

#include <stdlib.h>
#include <string.h>

#include "pickle-machine.h"
#include "text.h"

enum { MAX_BYTES = 64 << 20 };
#define MARK G_MAXUINT32
#define NOTHING G_MAXUINT32 /* an empty memo slot; the end of a chain of pairs */

gboolean dim_pickle_fail(const DimPickleMachine *machine, const char *what)
{
    return dim_fail(machine->error, DIM_ERROR_FORMAT, machine->origin, "data.pkl: %s (byte %u)",
                    what, machine->at);
}

/* Room for `more` elements behind the n that are in use. */
static gboolean reserve(const DimPickleMachine *machine, void *array, guint32 n, guint32 more,
                        guint32 *reserved, gsize element)
{
    void **pointer = array;

    if (n + more <= *reserved)
        return TRUE;
    const guint32 wanted = MAX(n + more, MAX(256, *reserved + *reserved / 2));
    void *grown = g_try_realloc_n(*pointer, wanted, element);
    if (!grown)
        return dim_fail_memory(machine->error, machine->origin, wanted * element);
    *pointer = grown;
    *reserved = wanted;
    return TRUE;
}

gboolean dim_pickle_push(DimPickleMachine *machine, guint32 value)
{
    if (!reserve(machine, &machine->stack, machine->n_stack, 1, &machine->r_stack,
                 sizeof *machine->stack))
        return FALSE;
    machine->stack[machine->n_stack++] = value;
    return TRUE;
}

gboolean dim_pickle_push_new(DimPickleMachine *machine, DimPickleValue value)
{
    DimPickle *p = machine->pickle;

    if (!reserve(machine, &p->values, p->n_values, 1, &p->r_values, sizeof *p->values))
        return FALSE;
    p->values[p->n_values] = value;
    return dim_pickle_push(machine, p->n_values++);
}

/* ---- operands
 * -------------------------------------------------------------------------------------------- */

static const guint8 *take(DimPickleMachine *machine, guint32 n)
{
    if (n > machine->pickle->length - machine->at) {
        dim_pickle_fail(machine, "is cut off");
        return NULL;
    }
    const guint8 *p = machine->pickle->data + machine->at;
    machine->at += n;
    return p;
}

static gboolean take_number(DimPickleMachine *machine, int bytes, guint32 *number)
{
    const guint8 *p = take(machine, (guint32)bytes);

    *number = 0;
    for (int i = 0; p && i < bytes; i++)
        *number |= (guint32)p[i] << 8 * i;
    return p != NULL;
}

static gboolean take_line(DimPickleMachine *machine, const char **line, gsize *length)
{
    const char *start = (const char *)machine->pickle->data + machine->at;
    const char *end = memchr(start, '\n', machine->pickle->length - machine->at);

    *line = start;
    *length = 0;
    if (!end)
        return dim_pickle_fail(machine, "is cut off within a name");
    *length = (gsize)(end - start);
    machine->at += (guint32)*length + 1;
    return TRUE;
}

static gboolean pop(DimPickleMachine *machine, guint32 *value)
{
    *value = DIM_PICKLE_CONSTANT_NONE;
    if (machine->n_stack == 0 || machine->stack[machine->n_stack - 1] == MARK)
        return dim_pickle_fail(machine, "takes a value that is not there");
    *value = machine->stack[--machine->n_stack];
    return TRUE;
}

/* What lies above the topmost mark; both are off the stack afterwards. Valid until the next push.
 */
static gboolean pop_to_mark(DimPickleMachine *machine, const guint32 **values, guint32 *n)
{
    guint32 at = machine->n_stack;

    *values = NULL;
    *n = 0;
    while (at > 0 && machine->stack[at - 1] != MARK)
        at--;
    if (at == 0)
        return dim_pickle_fail(machine, "takes values up to a mark that is not there");
    *values = machine->stack + at;
    *n = machine->n_stack - at;
    machine->n_stack = at - 1;
    return TRUE;
}

static DimPickleValue *top_of_kind(DimPickleMachine *machine, DimPickleKind kind, const char *fault)
{
    guint32 value;

    if (!pop(machine, &value))
        return NULL;
    machine->n_stack++;
    if (machine->pickle->values[value].kind == kind)
        return &machine->pickle->values[value];
    dim_pickle_fail(machine, fault);
    return NULL;
}

/* ---- opcodes
 * --------------------------------------------------------------------------------------------- */

static gboolean op_none(DimPickleMachine *machine)
{
    return dim_pickle_push(machine, DIM_PICKLE_CONSTANT_NONE);
}

static gboolean op_true(DimPickleMachine *machine)
{
    return dim_pickle_push(machine, DIM_PICKLE_CONSTANT_TRUE);
}

static gboolean op_false(DimPickleMachine *machine)
{
    return dim_pickle_push(machine, DIM_PICKLE_CONSTANT_FALSE);
}

static gboolean op_empty_tuple(DimPickleMachine *machine)
{
    return dim_pickle_push(machine, DIM_PICKLE_CONSTANT_EMPTY_TUPLE);
}

static gboolean op_empty_list(DimPickleMachine *machine)
{
    return dim_pickle_push_new(machine, (DimPickleValue){.kind = DIM_PICKLE_LIST});
}

static gboolean op_empty_dict(DimPickleMachine *machine)
{
    return dim_pickle_push_new(
        machine, (DimPickleValue){.kind = DIM_PICKLE_DICT, .first = NOTHING, .n = NOTHING});
}

static gboolean push_int(DimPickleMachine *machine, gint64 number)
{
    return dim_pickle_push_new(machine, (DimPickleValue){.kind = DIM_PICKLE_INT, .number = number});
}

static gboolean op_binint1(DimPickleMachine *machine)
{
    guint32 n;
    return take_number(machine, 1, &n) && push_int(machine, n);
}

static gboolean op_binint2(DimPickleMachine *machine)
{
    guint32 n;
    return take_number(machine, 2, &n) && push_int(machine, n);
}

static gboolean op_binint(DimPickleMachine *machine)
{
    guint32 n;
    return take_number(machine, 4, &n) && push_int(machine, (gint32)n);
}

static gboolean op_long1(DimPickleMachine *machine)
{
    guint32 n;

    if (!take_number(machine, 1, &n))
        return FALSE;
    if (n > 8)
        return dim_pickle_fail(machine, "has an integer of more than 64 bits");
    const guint8 *p = take(machine, n);
    if (!p)
        return FALSE;
    guint64 number = n > 0 && p[n - 1] & 0x80 ? G_MAXUINT64 : 0; /* the sign goes on to the left */
    for (guint32 i = n; i-- > 0;)
        number = number << 8 | p[i];
    return push_int(machine, (gint64)number);
}

static gboolean op_binfloat(DimPickleMachine *machine)
{
    return take(machine, 8) &&
           dim_pickle_push_new(machine, (DimPickleValue){.kind = DIM_PICKLE_FLOAT});
}

static gboolean push_string(DimPickleMachine *machine, int length_bytes)
{
    guint32 n;

    if (!take_number(machine, length_bytes, &n) || !take(machine, n))
        return FALSE;
    return dim_pickle_push_new(
        machine, (DimPickleValue){.kind = DIM_PICKLE_STRING, .first = machine->at - n, .n = n});
}

static gboolean op_binunicode(DimPickleMachine *machine)
{
    if (!push_string(machine, 4))
        return FALSE;
    const DimPickleValue *text = &machine->pickle->values[machine->pickle->n_values - 1];
    return dim_text_is_utf8((const char *)machine->pickle->data + text->first, text->n) ||
           dim_pickle_fail(machine, "has a text that is not UTF-8");
}

static gboolean op_short_binstring(DimPickleMachine *machine)
{
    return push_string(machine, 1);
}

static gboolean put(DimPickleMachine *machine, int index_bytes)
{
    guint32 index, value;

    if (!take_number(machine, index_bytes, &index) || !pop(machine, &value))
        return FALSE;
    machine->n_stack++;
    /* Python counts its slots up from 0, one for a value at most. */
    if (index >= machine->pickle->length)
        return dim_pickle_fail(machine, "has a memo index beyond its own length");
    const guint32 before = machine->n_memo;
    if (!reserve(machine, &machine->memo, index, 1, &machine->n_memo, sizeof *machine->memo))
        return FALSE;
    for (guint32 i = before; i < machine->n_memo; i++)
        machine->memo[i] = NOTHING;
    machine->memo[index] = value;
    return TRUE;
}

static gboolean op_binput(DimPickleMachine *machine)
{
    return put(machine, 1);
}

static gboolean op_long_binput(DimPickleMachine *machine)
{
    return put(machine, 4);
}

static gboolean get(DimPickleMachine *machine, int index_bytes)
{
    guint32 index;

    if (!take_number(machine, index_bytes, &index))
        return FALSE;
    if (index >= machine->n_memo || machine->memo[index] == NOTHING)
        return dim_pickle_fail(machine, "asks for a memo entry that is not there");
    return dim_pickle_push(machine, machine->memo[index]);
}

static gboolean op_binget(DimPickleMachine *machine)
{
    return get(machine, 1);
}

static gboolean op_long_binget(DimPickleMachine *machine)
{
    return get(machine, 4);
}

static gboolean op_mark(DimPickleMachine *machine)
{
    return dim_pickle_push(machine, MARK);
}

static gboolean push_tuple(DimPickleMachine *machine, const guint32 *values, guint32 n)
{
    DimPickle *p = machine->pickle;

    if (!reserve(machine, &p->items, p->n_items, n, &p->r_items, sizeof *p->items))
        return FALSE;
    memcpy(p->items + p->n_items, values, n * sizeof *values);
    p->n_items += n;
    return dim_pickle_push_new(
        machine, (DimPickleValue){.kind = DIM_PICKLE_TUPLE, .first = p->n_items - n, .n = n});
}

static gboolean op_tuple(DimPickleMachine *machine)
{
    const guint32 *values;
    guint32 n;

    if (!pop_to_mark(machine, &values, &n))
        return FALSE;
    return n == 0 ? dim_pickle_push(machine, DIM_PICKLE_CONSTANT_EMPTY_TUPLE)
                  : push_tuple(machine, values, n);
}

static gboolean pop_tuple(DimPickleMachine *machine, guint32 n)
{
    guint32 values[3];

    for (guint32 i = n; i-- > 0;)
        if (!pop(machine, &values[i]))
            return FALSE;
    return push_tuple(machine, values, n);
}

static gboolean op_tuple1(DimPickleMachine *machine)
{
    return pop_tuple(machine, 1);
}

static gboolean op_tuple2(DimPickleMachine *machine)
{
    return pop_tuple(machine, 2);
}

static gboolean op_tuple3(DimPickleMachine *machine)
{
    return pop_tuple(machine, 3);
}

static gboolean op_append(DimPickleMachine *machine)
{
    guint32 value;
    return pop(machine, &value) &&
           top_of_kind(machine, DIM_PICKLE_LIST, "appends to what is no list");
}

static gboolean op_appends(DimPickleMachine *machine)
{
    const guint32 *values;
    guint32 n;
    return pop_to_mark(machine, &values, &n) &&
           top_of_kind(machine, DIM_PICKLE_LIST, "appends to what is no list");
}

static gboolean is_key(const DimPickleValue *value)
{
    return value->kind == DIM_PICKLE_STRING || value->kind == DIM_PICKLE_INT ||
           value->kind == DIM_PICKLE_FLOAT || value->kind == DIM_PICKLE_BOOL;
}

/* Adds n / 2 pairs to the dictionary on top of the stack. */
static gboolean set_items(DimPickleMachine *machine, const guint32 *values, guint32 n)
{
    DimPickle *p = machine->pickle;
    DimPickleValue *dict =
        top_of_kind(machine, DIM_PICKLE_DICT, "sets an item of what is no dictionary");

    if (!dict)
        return FALSE;
    if (n % 2)
        return dim_pickle_fail(machine, "has a key without a value");
    if (!reserve(machine, &p->pairs, p->n_pairs, n / 2, &p->r_pairs, sizeof *p->pairs))
        return FALSE;
    for (guint32 i = 0; i < n; i += 2) {
        if (!is_key(&p->values[values[i]]))
            return dim_pickle_fail(machine, "has a key that is no text and no number");
        p->pairs[p->n_pairs] = (DimPicklePair){values[i], values[i + 1], NOTHING};
        if (dict->first == NOTHING)
            dict->first = p->n_pairs;
        else
            p->pairs[dict->n].next = p->n_pairs;
        dict->n = p->n_pairs++;
    }
    return TRUE;
}

static gboolean op_setitem(DimPickleMachine *machine)
{
    guint32 pair[2];
    return pop(machine, &pair[1]) && pop(machine, &pair[0]) && set_items(machine, pair, 2);
}

static gboolean op_setitems(DimPickleMachine *machine)
{
    const guint32 *values;
    guint32 n;
    return pop_to_mark(machine, &values, &n) && set_items(machine, values, n);
}

static gboolean op_global(DimPickleMachine *machine)
{
    const char *module, *name;
    gsize module_length, name_length;
    return take_line(machine, &module, &module_length) && take_line(machine, &name, &name_length) &&
           dim_pickle_push_name(machine, module, module_length, name, name_length);
}

static gboolean op_binpersid(DimPickleMachine *machine)
{
    guint32 id;
    return pop(machine, &id) && dim_pickle_push_persistent(machine, id);
}

static gboolean op_reduce(DimPickleMachine *machine)
{
    guint32 name, arguments;
    return pop(machine, &arguments) && pop(machine, &name) &&
           dim_pickle_push_call(machine, name, arguments);
}

static gboolean op_newobj(DimPickleMachine *machine)
{
    guint32 name, arguments;
    return pop(machine, &arguments) && pop(machine, &name) &&
           dim_pickle_push_object(machine, name, arguments);
}

static gboolean op_build(DimPickleMachine *machine)
{
    guint32 state, object;

    if (!pop(machine, &state) || !pop(machine, &object))
        return FALSE;
    machine->n_stack++;
    const DimPickleValue *o = &machine->pickle->values[object];
    if (!(o->kind == DIM_PICKLE_OPAQUE || (o->kind == DIM_PICKLE_DICT && o->detail)) ||
        machine->pickle->values[state].kind != DIM_PICKLE_DICT)
        return dim_pickle_fail(machine, "gives a state to what takes none");
    return TRUE;
}

static gboolean op_stop(DimPickleMachine *machine)
{
    machine->stopped = TRUE;
    if (!pop(machine, &machine->pickle->root))
        return FALSE;
    return machine->n_stack == 0 || dim_pickle_fail(machine, "ends with values left over");
}

static gboolean (*const opcodes[256])(DimPickleMachine *machine) = {
    ['}'] = op_empty_dict,      [']'] = op_empty_list,
    [')'] = op_empty_tuple,     ['N'] = op_none,
    [0x88] = op_true,           [0x89] = op_false,
    ['K'] = op_binint1,         ['M'] = op_binint2,
    ['J'] = op_binint,          [0x8a] = op_long1,
    ['G'] = op_binfloat,        ['X'] = op_binunicode,
    ['U'] = op_short_binstring, ['q'] = op_binput,
    ['r'] = op_long_binput,     ['h'] = op_binget,
    ['j'] = op_long_binget,     ['('] = op_mark,
    ['t'] = op_tuple,           [0x85] = op_tuple1,
    [0x86] = op_tuple2,         [0x87] = op_tuple3,
    ['a'] = op_append,          ['e'] = op_appends,
    ['s'] = op_setitem,         ['u'] = op_setitems,
    ['c'] = op_global,          ['Q'] = op_binpersid,
    ['R'] = op_reduce,          [0x81] = op_newobj,
    ['b'] = op_build,           ['.'] = op_stop,
};

static gboolean run(DimPickleMachine *machine)
{
    const guint8 *begin = take(machine, 2);

    if (!begin)
        return FALSE;
    if (begin[0] != 0x80)
        return dim_pickle_fail(machine, "is no pickle");
    if (begin[1] < 2 || begin[1] > 3) /* torch.save writes 2; 3 adds nothing that it uses */
        return dim_fail(machine->error, DIM_ERROR_UNSUPPORTED, machine->origin,
                        "data.pkl: pickle protocol %d; expected 2: save it again", begin[1]);
    while (!machine->stopped) {
        const guint8 *code = take(machine, 1);
        if (!code)
            return FALSE;
        if (!opcodes[*code])
            return dim_fail(
                machine->error, DIM_ERROR_FORMAT, machine->origin,
                "data.pkl: opcode 0x%02x at byte %u is not needed for weights, and refused", *code,
                machine->at - 1);
        if (!opcodes[*code](machine))
            return FALSE;
    }
    return TRUE;
}

/* The constants, in the order of their indices. */
static gboolean add_constants(DimPickleMachine *machine)
{
    static const DimPickleValue constants[DIM_N_PICKLE_CONSTANTS] = {
        [DIM_PICKLE_CONSTANT_NONE] = {.kind = DIM_PICKLE_NONE},
        [DIM_PICKLE_CONSTANT_FALSE] = {.kind = DIM_PICKLE_BOOL},
        [DIM_PICKLE_CONSTANT_TRUE] = {.kind = DIM_PICKLE_BOOL, .number = 1},
        [DIM_PICKLE_CONSTANT_EMPTY_TUPLE] = {.kind = DIM_PICKLE_TUPLE},
    };

    for (int i = 0; i < DIM_N_PICKLE_CONSTANTS; i++)
        if (!dim_pickle_push_new(machine, constants[i]))
            return FALSE;
    machine->n_stack = 0;
    return TRUE;
}

gboolean dim_pickle_read(DimPickle *pickle, const guint8 *data, gsize length, const char *origin,
                         GError **error)
{
    DimPickleMachine machine = {.pickle = pickle, .origin = origin, .error = error};

    *pickle = (DimPickle){.data = data};
    if (length > MAX_BYTES)
        return dim_fail(error, DIM_ERROR_FORMAT, origin, "data.pkl has more than 64 MiB");
    pickle->length = (guint32)length;
    gboolean read = add_constants(&machine) && run(&machine);
    g_free(machine.stack);
    g_free(machine.memo);
    if (!read)
        dim_pickle_clear(pickle);
    return read;
}

void dim_pickle_clear(DimPickle *pickle)
{
    g_free(pickle->values);
    g_free(pickle->items);
    g_free(pickle->pairs);
    *pickle = (DimPickle){0};
}

/* By key, numbers last; then by order. */
static int compare_keys(const void *a, const void *b)
{
    const DimPickleItem *x = a, *y = b;
    int order = (x->key == NULL) - (y->key == NULL);

    if (order == 0 && x->key)
        order = (x->key_length > y->key_length) - (x->key_length < y->key_length);
    if (order == 0 && x->key)
        order = memcmp(x->key, y->key, x->key_length);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static int compare_order(const void *a, const void *b)
{
    const DimPickleItem *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static gboolean same_key(const DimPickleItem *x, const DimPickleItem *y)
{
    return x->key && y->key && x->key_length == y->key_length &&
           !memcmp(x->key, y->key, x->key_length);
}

DimPickleItem *dim_pickle_items(const DimPickle *pickle, guint32 dict, guint32 *n)
{
    const guint32 first = pickle->values[dict].first;
    guint32 count = 0, kept = 0;

    for (guint32 i = first; i != NOTHING; i = pickle->pairs[i].next)
        count++;
    DimPickleItem *items = g_try_new(DimPickleItem, MAX(count, 1));
    if (!items)
        return NULL;
    count = 0;
    for (guint32 i = first; i != NOTHING; i = pickle->pairs[i].next, count++) {
        const DimPickleValue *key = &pickle->values[pickle->pairs[i].key];
        items[count] = (DimPickleItem){.value = pickle->pairs[i].value, .order = count};
        if (key->kind == DIM_PICKLE_STRING) {
            items[count].key = (const char *)pickle->data + key->first;
            items[count].key_length = key->n;
        }
    }
    qsort(items, count, sizeof *items, compare_keys);
    for (guint32 i = 0; i < count; i++)
        if (kept > 0 && same_key(&items[kept - 1], &items[i]))
            items[kept - 1].value = items[i].value;
        else
            items[kept++] = items[i];
    qsort(items, kept, sizeof *items, compare_order);
    *n = kept;
    return items;
}
