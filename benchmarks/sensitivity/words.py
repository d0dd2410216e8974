"""Everyday English words: what a recogniser takes a word for that it did not understand."""

from __future__ import annotations

__all__ = ["EVERYDAY"]

_TEXT = """
a able about above across act add after again age ago air all along also always am among an and any are area arm
art as ask at away back bad bag ball band bank bar base bath bean beat bed been beer behind bench bend best bet
better big bill bird bit bite blame blank blow board boat body bone book boot both bowl box boy brain bread break
brick bring broad brother brush build burn bus busy but buy by cake call calm camp can cap car card care case cast
cat catch chain chair chance change chart cheap check cheer child choose church city class clean clear climb clock
close cloth cloud coach coal coast coat coin cold come cook cool copy corn cost could count course court cover
cream crew crowd cry cup cut dance dark date day deal dear deep desk did dinner do doctor does dog door doubt draw
dream dress drink drive drop dry dust each ear early earth ease east eat edge egg eight else end enough even ever
every eye face fact fair fall far farm fast fat fear feed feel fell felt few field fight fill film find fine fire
fish fit five fix flat floor flow fly fold follow food foot for force form found four free fresh friend from front
fruit full fun game gate gave get girl give glad glass go goal gold gone good got grand grass great ground group
grow guess had hair half hall hand hang happy hard has hat have he head hear heat heavy held help her here hide
hill him hire his hit hold hole home hope hot hour house how huge hunt hurt ice idea if ill in inch iron is it its
jail job join joke judge juice jump just keep kept key kid kind king kiss kitchen knee knew know lack lady lake
lamp land large last late laugh law lay lazy lead leaf learn least leave led leg lend less let letter lie life lift
like line lip list live load loan lock log long look lose lot loud love low luck lunch made mail main make man many
map mark market mass mat match may me meal mean meat meet mice milk mill mind mine miss mist mix money month mood
moon more most mouth move movie much mud my name near neat neck need nest net never new news next nice night nine
no noon nor north nose not note now nurse of off often oil old on once one only open or other our out over own pack
page paid pain paint pair pan paper park part pass past path pay peace pen people phone pick piece pig pile pin
pipe plan plant plate play please plenty pool poor port post pot pound power press price print pull pure push put
quick quiet quite race rail rain raise ran rate raw reach read ready real rest rice rich ride ring rise river road
rock roll roof room root rose round row rub rule run rush sad safe said sail salt same sand sat save saw say school
sea seat see seed seem seen self sell send set seven shade shake shall shape share sharp she sheep sheet shelf
shell shine ship shirt shoe shop short shot should shout show shut sick side sight sign silk sing sink sister sit
six size skin skirt sky sleep slip slow smell smile smoke snow so soap sock soft soil some son song soon sore sort
soup south space speak speed spell spend spoon sport spot spread spring stage stair stand start state stay steal
steam steel step stick stock stone stood stop store storm story strange street strong such sugar suit sum sun sure
sweet swim table tail take talk tall tape task taste tax tea teach team tear tell ten tent test than thank that the
them then there these they thick thin thing think third this those though thought three threw throat through throw
tie tight time tin tiny tip tired to today toe told tone tongue too took tool tooth touch tour toward town toy
track trade train trap tray treat tree trip truck true trust try tube tune turn twelve twice twin two type uncle
under until upon us use vast very vest view visit voice vote wage wait wake walk wall want war warm was wash waste
watch water wave way we weak wear week weigh well went were west wet what wheel when where which while who whole
whose why wide wife wild will win wind wine wing winter wipe wire wise wish with woke woman won wood wool word work
world worse worth would wound wrap write wrong yard year yes yet you young your
"""
EVERYDAY = tuple(_TEXT.split())
"""Lower case, each once."""
