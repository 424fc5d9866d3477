; Training by the procedure: the same text for both hosts, behind a prelude and checks.scm. Defined by the caller: pictures,
; small (folders), data (where models and trainings are), work (a folder).
; SPDX-License-Identifier: LGPL-3.0-or-later

(define few "steps=6 batch=8")
(define image (car (gimp-image-new 64 64 RGB)))
(define (add-layer name width height colour group visible)
  (let ((layer (new-layer image name width height)))
    (gimp-image-insert-layer image layer group 0)
    (gimp-context-set-foreground colour)
    (gimp-drawable-fill layer FILL-FOREGROUND)
    (gimp-item-set-visible layer visible)
    layer))

; what is refused leaves no training and no model
(define (refused name thunk)
  (check (string-append name " is refused") (catch 'refused (begin (thunk) 'done)) 'refused))
(refused "no name" (lambda () (dim-train image "tiny" "" pictures 1 "" few)))
(refused "a name that is taken" (lambda () (dim-train image "tiny" "Class 3" pictures 1 "" few)))
(refused "an image without layers" (lambda () (dim-train image "tiny" "empty" "" 1 "" few)))
(refused "no folder" (lambda () (dim-train image "tiny" "x" "/nowhere" 1 "" few)))
(refused "small pictures" (lambda () (dim-train image "tiny" "x" small 1 "" few)))
(refused "an unknown model" (lambda () (dim-train image "nomodel" "x" pictures 1 "" few)))
(refused "an unknown option" (lambda () (dim-train image "tiny" "x" pictures 1 "" "nooption=1")))
(refused "an argument as an option" (lambda () (dim-train image "tiny" "x" pictures 1 "" "images=/tmp")))
(refused "minus one minute" (lambda () (dim-train image "tiny" "x" pictures -1 "" few)))

; from a folder; the new model is there and makes pictures of the class
(define trained (dim-train image "tiny" "stripes" pictures 1 "" few))
(check "the new model" trained (string-append data "/gimp-dim/models/tiny-stripes"))
(refused "the same again" (lambda () (dim-train image "tiny" "stripes" pictures 1 "" few)))

; from the layers: those that are visible, cut to what is not transparent, but for those with holes
(add-layer "red" 48 40 '(255 0 0) 0 TRUE)
(add-layer "hidden" 48 40 '(9 9 9) 0 FALSE)
(let ((group (new-group image)))
  (gimp-image-insert-layer image group 0 0)
  (add-layer "in a/group" 40 48 '(0 255 0) group TRUE))
(let ((cut (add-layer "cut" 64 64 '(0 0 255) 0 TRUE)))
  (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 64 24)
  (gimp-drawable-edit-clear cut)
  (gimp-selection-none image))
(let ((holed (add-layer "holed" 64 64 '(0 0 255) 0 TRUE)))
  (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 20 20 20 20)
  (gimp-drawable-edit-clear holed)
  (gimp-selection-none image))
(check "a name of its own" (dim-train image "tiny" "layers" "" 1 "own" few) (string-append data "/gimp-dim/models/own"))

; cancelled twice: the caller kills the plug-in; the second call goes on where the first one was
(refused "a cancelled training" (lambda () (dim-train image "tiny" "long" pictures 30 "" "batch=8")))
(refused "and the next one" (lambda () (dim-train image "tiny" "long" pictures 30 "" "batch=8")))
(end-checks)
