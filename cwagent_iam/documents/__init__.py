"""Policy documents: canonical form, equality by meaning, size.

IAM does not give back the text that it was sent, and people write the same document in many ways.
Two documents are equal here when they say the same:

- the order of statements and of lists, white space, and a list of one against its only member
  make no difference; nor do ``Sid`` and ``Id``, which are labels;
- actions, condition operators and condition keys are compared without regard to case, everything
  else with it; ``ArnLike`` is ``ArnEquals``, which takes wildcards too;
- an account id stands for that account's root ARN, and ``"*"`` for ``{"AWS": "*"}``;
- a document without ``Version`` has the version 2008-10-17;
- numbers and booleans in conditions are compared as text.

A principal that was deleted shows as a bare unique id and equals nothing, rightly so: such a
document is dead. Source: the IAM JSON policy elements reference in the IAM user guide.
"""

from cwagent_iam.documents.covering import any_covers as any_covers
from cwagent_iam.documents.document import Document as Document
from cwagent_iam.documents.statements import Statement as Statement, listed as listed
