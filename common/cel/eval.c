/* Runs what compile.c made: a stack, and no way back. */
#include <string.h>

#include "common/assert.h"
#include "common/cel/cel_private.h"

struct machine {
    const slc_cel *cel;
    slc_cel_resolve *resolve;
    void *ctx;
    slc_cel_scratch *scratch;
    size_t top; /* values on the stack */
    slc_cel_value stack[SLC_CEL_MAX_STACK];
};

static const char no_overload[] = "there is no such operation for values of these kinds";

static void push(struct machine *machine, slc_cel_value value)
{
    SLC_BUG_ON(machine->top >= SLC_CEL_MAX_STACK); /* the compiler counts */
    machine->stack[machine->top++] = value;
}

/* The first error among the arguments; NULL: none. */
static const slc_cel_value *first_error(const slc_cel_value *args, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (args[i].kind == SLC_CEL_ERROR)
            return &args[i];
    return NULL;
}

static slc_cel_value call(struct machine *machine, const slc_cel_op *op, const slc_cel_value *args)
{
    const slc_cel_function *function = slc_cel_overload(op->function, args, op->argc);
    return function != NULL ? function->run(args, machine->scratch) : slc_cel_error(no_overload);
}

static slc_cel_value ordered(const slc_cel_op *op, const slc_cel_value *args)
{
    enum slc_cel_order order = slc_cel_compare(&args[0], &args[1]);
    if (order == SLC_CEL_INCOMPARABLE)
        return slc_cel_error(no_overload);
    bool before = order == SLC_CEL_LESS, same = order == SLC_CEL_SAME, after = order == SLC_CEL_MORE;
    return slc_cel_bool(op->code == SLC_CEL_BEFORE           ? before
                        : op->code == SLC_CEL_BEFORE_OR_SAME ? before || same
                        : op->code == SLC_CEL_AFTER          ? after
                                                             : after || same);
}

static slc_cel_value compared(const slc_cel_op *op, const slc_cel_value *args)
{
    slc_cel_value result = slc_cel_equal(&args[0], &args[1]);
    if (op->code == SLC_CEL_DIFFERENT && result.kind == SLC_CEL_BOOL)
        result.as.boolean = !result.as.boolean;
    return result;
}

static slc_cel_value matched(const slc_cel *cel, const slc_cel_op *op, const slc_cel_value *text)
{
    if (text->kind != SLC_CEL_STRING)
        return slc_cel_error(no_overload);
    return slc_cel_bool(slc_re2_matches_within(cel->patterns[op->a], text->as.text.data, text->as.text.len));
}

static slc_cel_value made(struct machine *machine, const slc_cel_op *op, const slc_cel_value *args,
                          size_t count)
{
    bool map = op->code == SLC_CEL_MAKE_MAP;
    slc_cel_value *items = slc_cel_take(machine->scratch, count * sizeof *items);
    if (items == NULL)
        return slc_cel_error("the lists and maps that are made here are too long");
    if (count > 0)
        memcpy(items, args, count * sizeof *items);
    const char *fault = map ? slc_cel_map_fault(items, op->a) : NULL;
    if (fault != NULL)
        return slc_cel_error(fault);
    return (slc_cel_value){.kind = map ? SLC_CEL_MAP : SLC_CEL_LIST, .as.list = {items, op->a}};
}

/* && and ||: one side may decide whatever the other is, also an error. Otherwise an error stays one. */
static slc_cel_value joined(const slc_cel_op *op, const slc_cel_value *args)
{
    bool decides = op->code == SLC_CEL_OR;
    for (int i = 0; i < 2; i++)
        if (args[i].kind == SLC_CEL_BOOL && args[i].as.boolean == decides)
            return args[i];
    const slc_cel_value *error = first_error(args, 2);
    if (error != NULL)
        return *error;
    return args[0].kind == SLC_CEL_BOOL && args[1].kind == SLC_CEL_BOOL ? slc_cel_bool(!decides)
                                                                        : slc_cel_error(no_overload);
}

static slc_cel_value variable(struct machine *machine, size_t index)
{
    slc_cel_value value = {.kind = SLC_CEL_ANY};
    if (!machine->resolve(machine->ctx, index, &value))
        return slc_cel_error("this has no value here");
    enum slc_cel_kind declared = machine->cel->variables[index].kind;
    SLC_BUG_ON(declared != SLC_CEL_ANY && declared != value.kind);
    return value;
}

static slc_cel_value not(const slc_cel_value *value)
{
    return value->kind == SLC_CEL_BOOL ? slc_cel_bool(!value->as.boolean) : slc_cel_error(no_overload);
}

static slc_cel_value field(const slc_cel *cel, const slc_cel_op *op, const slc_cel_value *map)
{
    const slc_cel_value *name = &cel->constants[op->a];
    if (map->kind != SLC_CEL_MAP && map->kind != SLC_CEL_LOOKUP)
        return slc_cel_error("only maps have fields");
    return op->code == SLC_CEL_SELECT ? slc_cel_index(map, name) : slc_cel_contains(name, map);
}

/* How many values an operation takes. */
static size_t arity(const slc_cel_op *op)
{
    switch ((enum slc_cel_code)op->code) {
    case SLC_CEL_CALL:
        return op->argc;
    case SLC_CEL_MAKE_LIST:
        return op->a;
    case SLC_CEL_MAKE_MAP:
        return (size_t)op->a * 2;
    case SLC_CEL_SELECT:
    case SLC_CEL_HAS_FIELD:
    case SLC_CEL_MATCHES:
    case SLC_CEL_NOT:
        return 1;
    default:
        return 2;
    }
}

static slc_cel_value apply(struct machine *machine, const slc_cel_op *op, const slc_cel_value *args)
{
    switch ((enum slc_cel_code)op->code) {
    case SLC_CEL_CALL:
        return call(machine, op, args);
    case SLC_CEL_SELECT:
    case SLC_CEL_HAS_FIELD:
        return field(machine->cel, op, args);
    case SLC_CEL_INDEX:
        return slc_cel_index(&args[0], &args[1]);
    case SLC_CEL_MAKE_LIST:
    case SLC_CEL_MAKE_MAP:
        return made(machine, op, args, arity(op));
    case SLC_CEL_MATCHES:
        return matched(machine->cel, op, args);
    case SLC_CEL_EQUAL:
    case SLC_CEL_DIFFERENT:
        return compared(op, args);
    case SLC_CEL_IN:
        return slc_cel_contains(&args[0], &args[1]);
    case SLC_CEL_NOT:
        return not(args);
    default:
        return ordered(op, args);
    }
}

/* Takes the arguments off, puts the result on. An error among them is the result. */
static void step(struct machine *machine, const slc_cel_op *op)
{
    size_t count = arity(op);
    SLC_BUG_ON(count > machine->top);
    slc_cel_value *args = machine->stack + machine->top - count;
    bool joins = op->code == SLC_CEL_AND || op->code == SLC_CEL_OR;
    const slc_cel_value *error = joins ? NULL : first_error(args, count);
    slc_cel_value result = joins ? joined(op, args) : error != NULL ? *error : apply(machine, op, args);
    if (result.kind == SLC_CEL_ERROR && error == NULL && !joins)
        result.as.error.at = op->at;
    machine->top -= count;
    push(machine, result);
}

/* Where to go on. */
static size_t choose(struct machine *machine, const slc_cel_op *op, size_t next)
{
    slc_cel_value condition = machine->stack[--machine->top];
    if (condition.kind == SLC_CEL_BOOL)
        return condition.as.boolean ? next : op->a;
    if (condition.kind != SLC_CEL_ERROR) {
        condition = slc_cel_error(no_overload);
        condition.as.error.at = op->at;
    }
    push(machine, condition);
    return op->b;
}

static size_t run_op(struct machine *machine, const slc_cel_op *op, size_t next)
{
    slc_cel_value found;
    const slc_cel_value *top = machine->stack + machine->top - 1;
    switch ((enum slc_cel_code)op->code) {
    case SLC_CEL_CONST:
        push(machine, machine->cel->constants[op->a]);
        return next;
    case SLC_CEL_VARIABLE:
        push(machine, variable(machine, op->a));
        if (machine->stack[machine->top - 1].kind == SLC_CEL_ERROR)
            machine->stack[machine->top - 1].as.error.at = op->at;
        return next;
    case SLC_CEL_HAS_VAR:
        push(machine, slc_cel_bool(machine->resolve(machine->ctx, op->a, &found)));
        return next;
    case SLC_CEL_AND_JUMP:
        return top->kind == SLC_CEL_BOOL && !top->as.boolean ? op->a : next;
    case SLC_CEL_OR_JUMP:
        return top->kind == SLC_CEL_BOOL && top->as.boolean ? op->a : next;
    case SLC_CEL_CHOOSE:
        return choose(machine, op, next);
    case SLC_CEL_JUMP:
        return op->a;
    default:
        step(machine, op);
        return next;
    }
}

slc_cel_value slc_cel_eval(const slc_cel *cel, slc_cel_resolve *resolve, void *ctx, slc_cel_scratch *scratch)
{
    struct machine machine;
    SLC_CHECK_MAGIC(cel, SLC_CEL_MAGIC);
    machine.cel = cel;
    machine.resolve = resolve;
    machine.ctx = ctx;
    machine.scratch = scratch;
    machine.top = 0;
    scratch->used = 0;
    for (size_t next = 0; next < cel->op_count;) {
        const slc_cel_op *op = &cel->ops[next];
        size_t after = run_op(&machine, op, next + 1);
        SLC_BUG_ON(after <= next);
        next = after;
    }
    SLC_BUG_ON(machine.top != 1);
    return machine.stack[0];
}
