"""Another program that has begun to write into a store, until somebody writes to the FIFO: lock.py STORE FIFO"""

import sqlite3
import sys

store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
with open(sys.argv[2], encoding="ascii") as fifo:
    fifo.read()
store.execute("ROLLBACK")
