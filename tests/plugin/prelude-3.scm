; What GIMP 3's Script-Fu calls otherwise than GIMP 2.10's. Both preludes define the same names.
; SPDX-License-Identifier: LGPL-3.0-or-later
(define (dim-layer image model class width height steps guidance seed sampler upsample preset options)
  (car (plug-in-dim-layer #:image image #:model model #:class class #:width width #:height height #:steps steps
                          #:guidance guidance #:seed seed #:sampler sampler #:upsample upsample
                          #:preset preset #:options options)))
(define (dim-new model class width height steps guidance seed sampler upsample preset options)
  (plug-in-dim-new #:model model #:class class #:width width #:height height #:steps steps
                   #:guidance guidance #:seed seed #:sampler sampler #:upsample upsample
                   #:preset preset #:options options))
(define (dim-layer-mode mode image)
  (car (plug-in-dim-layer #:run-mode mode #:image image)))
(define (dim-train image model class folder minutes output options)
  (car (plug-in-dim-train-class #:image image #:model model #:class class #:folder folder #:minutes minutes
                                #:output output #:options options)))
(define (width-of layer) (car (gimp-drawable-get-width layer)))
(define (height-of layer) (car (gimp-drawable-get-height layer)))
(define (offsets-of layer) (gimp-drawable-get-offsets layer))
(define (layers-of image) (vector->list (car (gimp-image-get-layers image))))
(define (canvas-of image) (list (car (gimp-image-get-width image)) (car (gimp-image-get-height image))))
(define (base-of image) (car (gimp-image-get-base-type image)))
(define (choose-layer image layer) (gimp-image-set-selected-layers image (vector layer)))
(define (chosen-layer image) (vector-ref (car (gimp-image-get-selected-layers image)) 0))
(define (new-group image) (car (gimp-group-layer-new image "group")))
(define (save-flat image file)
  (gimp-image-flatten image)
  (gimp-file-save RUN-NONINTERACTIVE image file))
(define (new-layer image name width height)
  (car (gimp-layer-new image name width height RGBA-IMAGE 100 LAYER-MODE-NORMAL)))
