"""Desired and observed state to the changes between them, and who may be changed at all.

Ownership decides first, for each role, user and instance profile separately.

- What is absent is made, tagged as managed, whatever the choice.
- What carries our tag is **managed**: every field that intent names is compared for equality and
  mended, whatever the choice. Only another role in an instance profile is left to its users, unless
  ``existing="adopt"``.
- What exists without the tag is **somebody else's**. If it is as desired nothing is done, unless
  ``existing="adopt"``. If it is not, *existing* says what may be done: nothing (``"refuse"`` and
  ``"verify"``, which only compares), add missing policies and membership (``"attach"``), or give
  it the tag and mend it as what is managed (``"adopt"``).
- What **belongs to something else** that would mend it in turns, or lets nobody change it, is
  never managed and never adopted, even where it carries our tag: service-linked roles, roles made
  from a role template, and what has tags of CloudFormation. It can be attached to and verified.
- A **service-linked role** that is as desired is used as it is. Nothing can be added to it, and it
  cannot be put into a profile: IAM answers UnmodifiableEntity to everybody but its service. So
  where it lacks anything that is a conflict, and no choice would do.

**As desired**, for what is managed or being adopted, is equality in every field that intent
names. For what is not ours it is containment, the same for all choices:

========================  ========================================================================
name                      exactly, with its letter case
path                      exactly, if intent names one
trust                     allows at least what the desired trust allows, in one statement or in
                          several, under the same conditions or looser ones; has its denials, word
                          for word; and denies none of it in any case
policies                  at least the desired ones are attached
inline policies           the desired ones are there, and say what they should; others are not read
role of a profile         exactly; a profile holds one
permissions boundary      exactly, if intent names one, or that there is none: it decides what the
                          agent can do
max session duration      exactly, if intent names one
description               exactly, if intent names one: what cannot be brought about is not passed
                          over in silence; who does not mind does not name it
tags                      not asked for: they say whose it is, and it is not ours
========================  ========================================================================

What differs and may not be changed under *existing* is a conflict, and then nothing at all is
done: a name in another letter case or another path always; under ``"attach"`` all but missing
policies, attached or inline, and an empty profile.

A policy that leaves its account open is the customer's of that name and path, which can only be in
the account of the role or user. A role is made after the new roles and users that it trusts.

What is there beyond intent are **extras**: attached policies, and statements in the trust of what
is not ours. Tags that intent does not name are no extras: a desired state names only those that it
cares for. Under ``attachments="additive"`` extras are reported and never touched. Under
``"exclusive"`` the attached policies must be exactly the desired ones, whoever owns the thing: the
others are detached, after what is missing was attached, or are a conflict where nothing may be
detached, as under ``"attach"``. A boundary is set before anybody is let in and anything attached
that it is to limit, and cleared after everything is detached that it may have limited. Where
profiles change hands, the role of one is replaced before that of the next, so that at most one of
them is empty at a time.
"""

from cwagent_iam.differ.comparing import extras
from cwagent_iam.differ.diffing import diff, unmakeable_problems
from cwagent_iam.differ.owning import Attachments, Choices, Existing

__all__ = ["Attachments", "Choices", "Existing", "diff", "extras", "unmakeable_problems"]
