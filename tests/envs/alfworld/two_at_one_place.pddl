; A room made for the engine's quirks: two receptacles at one place, a lamp one can carry, a mug with a knife in it.
(define (problem quirks)
 (:domain alfred)
 (:objects
  agent1 - agent
  loc_bar_0 loc_bar_1 loc_bar_2 loc_bar_3 - location
  Cabinet_bar_1 Cabinet_bar_2 Sink_bar_1_bar_SinkBasin Fridge_bar_1 - receptacle
  Mug_bar_1 Mug_bar_2 Apple_bar_1 Knife_bar_1 DeskLamp_bar_1 - object
  CabinetType SinkBasinType FridgeType MicrowaveType - rtype
  MugType AppleType KnifeType ButterKnifeType DeskLampType - otype
 )
 (:init
  (= (total-cost) 0) (= (distance loc_bar_0 loc_bar_1) 4)
  (atLocation agent1 loc_bar_0)
  (receptacleAtLocation Cabinet_bar_1 loc_bar_1) (receptacleAtLocation Cabinet_bar_2 loc_bar_2)
  (receptacleAtLocation Sink_bar_1_bar_SinkBasin loc_bar_3) (receptacleAtLocation Fridge_bar_1 loc_bar_3)
  (openable Cabinet_bar_1) (openable Fridge_bar_1)
  (receptacleType Cabinet_bar_1 CabinetType) (receptacleType Cabinet_bar_2 CabinetType)
  (receptacleType Sink_bar_1_bar_SinkBasin SinkBasinType) (receptacleType Fridge_bar_1 FridgeType)
  (canContain CabinetType MugType) (canContain CabinetType KnifeType) (canContain CabinetType DeskLampType)
  (canContain SinkBasinType MugType) (canContain SinkBasinType AppleType) (canContain SinkBasinType KnifeType)
  (canContain SinkBasinType DeskLampType) (canContain FridgeType MugType) (canContain FridgeType AppleType)
  (canContain FridgeType KnifeType) (canContain FridgeType DeskLampType)
  (objectType Mug_bar_1 MugType) (objectType Mug_bar_2 MugType) (objectType Apple_bar_1 AppleType)
  (objectType Knife_bar_1 KnifeType) (objectType DeskLamp_bar_1 DeskLampType)
  (pickupable Mug_bar_1) (pickupable Mug_bar_2) (pickupable Apple_bar_1) (pickupable Knife_bar_1)
  (pickupable DeskLamp_bar_1) (toggleable DeskLamp_bar_1)
  (isReceptacleObject Mug_bar_1) (inReceptacleObject Knife_bar_1 Mug_bar_1)
  (cleanable Mug_bar_2) (cleanable Apple_bar_1) (coolable Apple_bar_1) (heatable Apple_bar_1) (sliceable Apple_bar_1)
  (inReceptacle Mug_bar_1 Cabinet_bar_1) (objectAtLocation Mug_bar_1 loc_bar_1)
  (inReceptacle Mug_bar_2 Cabinet_bar_2) (objectAtLocation Mug_bar_2 loc_bar_2)
  (inReceptacle DeskLamp_bar_1 Cabinet_bar_2) (objectAtLocation DeskLamp_bar_1 loc_bar_2)
  (inReceptacle Knife_bar_1 Cabinet_bar_2) (objectAtLocation Knife_bar_1 loc_bar_2)
  (inReceptacle Apple_bar_1 Fridge_bar_1) (objectAtLocation Apple_bar_1 loc_bar_3)
 )
 (:goal (exists (?r - receptacle ?o - object)
  (and (inReceptacle ?o ?r) (objectType ?o MugType) (receptacleType ?r SinkBasinType))))
)
