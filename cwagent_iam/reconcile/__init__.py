"""Reconciliation: from the observed to the desired state, as generators of effects.

.. code-block:: text

    observe ─▶ diff ─▶ send what is due, wave by wave ─▶ confirm ─▶ result
       ▲         │ conflict: confirm it     │ refused: the rules decide
       └─────────┴──────────────────────────┘

`rules` is the table of what refusals mean, `ledger` the record of a call, `loop` the order of its
steps, and `premises` the check of a ChangeSet before it is applied. Nothing here sends, waits or
reads a clock: the executor does, or a test.
"""
