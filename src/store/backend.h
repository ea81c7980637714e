/*
 * What a store implements, and the state that all of them share. Only src/store includes this.
 *
 * store.c keeps these for every store, so an implementation may rely on them:
 *  1. reads, writes and marks come only between begin and the end of the transaction;
 *  2. marks do not nest, and undo and keep come only when there is one;
 *  3. once a writer, a mark or commit failed with an error that leaves the transaction
 *     in doubt, nothing but rollback comes;
 *  4. no writer comes while a listing is calling each();
 *  5. texts passed by pointer fit the fields they are for, serials are 1 … INT64_MAX, and a
 *     revocation and the end of a job have a time;
 *  6. a job is put with nodes that are different ones and not too many, and without an end.
 */
#ifndef POSTERN_STORE_BACKEND_H
#define POSTERN_STORE_BACKEND_H

#include "store/operations.h"
#include "store/store.h"

struct store_operations {
    void (*close)(struct store *store);
    err_t (*begin)(struct store *store);
    err_t (*commit)(struct store *store);
    void (*rollback)(struct store *store);
    err_t (*mark)(struct store *store);
    err_t (*undo)(struct store *store);
    err_t (*keep)(struct store *store);
#define OPERATION(name, parameters, arguments) err_t(*name) parameters;
    READ_LIST(OPERATION)
    WRITE_LIST(OPERATION)
    CHECKED_LIST(OPERATION)
#undef OPERATION
};

struct store {
    const struct store_operations *operations;
    bool in_transaction;
    bool marked;
    err_t doubt;       /* why the transaction can only be rolled back */
    unsigned listings; /* that are calling each() right now */
};

#endif
