% # What can be done with a conversation: include it with the `choices` of acts.conversations.
% if operator.may_act and choices:
<p class="acts">
% for choice in choices:
<a class="act" href="{{root}}{{choice.address}}">{{choice.label}}</a>
% end
</p>
% end
