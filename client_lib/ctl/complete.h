/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_COMPLETE_H
#define HAKC_CTL_COMPLETE_H

/* For a shell that completes a command line; deploy/completion/hakmemctl asks it. */

#define HAKC_COMPLETE "--complete" /* the first argument; the words up to the cursor follow */

/*
 * Prints what the last word, which may be empty, can become, a line each; of what the shell knows
 * better, one line instead: ":file", ":user" or ":group". What a word is for is told by the names
 * of arguments:
 *
 * | argument        | offered                               |
 * |-----------------|---------------------------------------|
 * | PATH            | :file                                 |
 * | USER, GROUP     | :user, :group                         |
 * | POOL            | pools that the daemon has             |
 * | PID             | processes that are attached           |
 * | [COUNTER...]    | what is counted                       |
 * | [EVENT...]      | kinds of events                       |
 * | a|b|c, in small letters or digits | these               |
 * | other           | nothing                               |
 */
void hakc_complete(int n, char **words);

#endif
