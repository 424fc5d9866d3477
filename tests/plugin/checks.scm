; What scripts check with. Each check is one line of the file work/report, "ok" or "FAIL"; the last line is "end". Defined by
; the caller: work (a folder).
; SPDX-License-Identifier: LGPL-3.0-or-later

(define report (open-output-file (string-append work "/report")))
(define (check name got wanted)
  (display (if (equal? got wanted) "ok " "FAIL ") report)
  (display name report)
  (if (not (equal? got wanted))
      (begin (display ": " report) (write got report) (display ", not " report) (write wanted report)))
  (newline report))
(define (in-work name) (string-append work "/" name))
(define (write-text file text)
  (let ((port (open-output-file file))) (display text port) (close-output-port port)))
(define (end-checks)
  (display "end" report)
  (newline report)
  (close-output-port report))
