% # What can be done here, as buttons.
% if operator.may_act and choices:
<p class="acts">
% for choice in choices:
<a class="act" href="{{root}}{{choice.address}}">{{choice.label}}</a>
% end
</p>
% end
