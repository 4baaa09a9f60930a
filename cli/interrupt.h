/* Ctrl-C and SIGTERM during a search: it is cancelled, and the command ends in order. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

/* From here on the first such signal is only noted; the second ends the process at once. */
void interrupt_catch(void);
/* From here on they end the process as they always did. */
void interrupt_release(void);
int interrupt_caught(void); /* the signal, or 0 */
/* Ends the process by the signal that was caught, as its parent expects, if one was. */
void interrupt_end(void);

#endif
